//! What a process calls itself, for people who look at its locks.

use crate::limits::PROCESS_NAME_BYTES_MAX;

/// A number that stands in the owners of a process, and the name to show for it.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) id: [u8; 8],
    pub(crate) name: String,
}

impl Process {
    pub(crate) fn new(name: &str) -> Self {
        let mut id = [0; 8];
        getrandom::fill(&mut id).expect("the operating system gives random numbers");
        let printable = name.chars().filter(|char| !char.is_control());
        let mut cut = String::new();
        for char in printable {
            if cut.len() + char.len_utf8() > PROCESS_NAME_BYTES_MAX {
                break;
            }
            cut.push(char);
        }
        Self { id, name: cut }
    }

    /// In the notation of the owners that belong to it.
    #[cfg(any(feature = "redis", test))]
    pub(crate) fn id_text(&self) -> String {
        id_text(self.id)
    }
}

#[cfg(any(feature = "redis", test))]
pub(crate) fn id_text(id: [u8; 8]) -> String {
    format!("{:016x}", u64::from_be_bytes(id))
}

/// `HOST:PID`.
pub(crate) fn default_name() -> String {
    let host = rustix::system::uname();
    format!("{}:{}", host.nodename().to_string_lossy(), std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Owner;

    #[test]
    fn owners_show_their_process_and_names_are_cut_between_letters() {
        let process = Process::new("주문\n1");
        assert_eq!(process.name, "주문1");
        let owners = [(); 2].map(|()| Owner::of_process(process.id));
        assert_ne!(owners[0], owners[1]);
        assert_eq!(owners.map(|owner| owner.process()), [process.id; 2]);
        assert!(owners[0].to_string().starts_with(&process.id_text()));
        let long = Process::new(&"재".repeat(PROCESS_NAME_BYTES_MAX));
        assert_eq!(long.name.len(), PROCESS_NAME_BYTES_MAX / 3 * 3);
        assert!(default_name().ends_with(&format!(":{}", std::process::id())));
    }
}
