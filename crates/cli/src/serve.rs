//! `jaego serve`: the service on a data folder.

use std::{
    fs, future,
    future::Future,
    io,
    net::SocketAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use clap::Args;
use jaego_client::Trust;
use jaego_engine::{Config, Engine, Recovered, SystemClock, disk::RealDisk};
use jaego_server::{
    Audit, Limits, Metrics, Opening, Role, Shell, Tokens,
    audit::Kind,
    logs, service,
    shell::PROTOCOLS,
    tokens::{TokenGrant, TokenId},
};
use jaego_store::Store;
use jaego_tls::Certificates;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    net::TcpListener,
    runtime::Runtime,
    signal::unix,
    sync::watch,
    task::{JoinSet, spawn_blocking},
};

use crate::{
    audit::write_down,
    data,
    exit::Usage,
    queues::{QueueOptions, Queues},
    remote::write_out,
    settings::{Ca, DataFolder, LISTEN_DEFAULT, Settings, SettingsFile, address},
};

/// The name of the token that a new folder gets.
const FIRST_TOKEN: &str = "admin";
/// Upper bounds of the histogram of sync times, in microseconds.
const SYNC_MICROS: &[u64] = &[50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 50_000, 100_000, 1_000_000];
/// Upper bounds of the histogram of events in a frame.
const FRAME_EVENTS: &[u64] = &[1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536];

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    data: DataFolder,
    /// The address to listen on [default: 127.0.0.1:7878]
    #[arg(long, env = "JAEGO_LISTEN", value_name = "ADDRESS", value_parser = address)]
    listen: Option<SocketAddr>,
    /// Speak TLS, with the certificate in this PEM file and those behind it; read again when it changes.
    #[arg(long, env = "JAEGO_TLS_CERT", value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// The private key of the certificate, a PEM file; read again when it changes.
    #[arg(long, env = "JAEGO_TLS_KEY", value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// Requests of one client address at work at a time, of 2,048 in all [default: 1024]
    #[arg(long, env = "JAEGO_REQUESTS_PER_PEER", value_name = "N")]
    requests_per_peer: Option<NonZeroUsize>,
    #[command(flatten)]
    ca: Ca,
    #[command(flatten)]
    settings: SettingsFile,
    /// How logs are written: text or json.
    #[arg(long, env = "JAEGO_LOG_FORMAT", default_value = "text")]
    log_format: logs::Format,
    /// What is logged, such as `info` or `jaego=debug`.
    #[arg(long, env = "JAEGO_LOG", default_value = "info")]
    log: String,
    // The last ones: their heading would stand above all that follow.
    #[command(flatten)]
    queues: QueueOptions,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    logs::init(options.log_format, &options.log).map_err(|error| match error {
        logs::Error::Filter { .. } => anyhow!(Usage(format!("--log: {:#}", anyhow!(error)))),
        other => anyhow!("cannot start the logs: {other}"),
    })?;
    raise_open_files();
    forbid_core_dumps();
    let settings = options.settings.read()?;
    let data = options.data.get(&settings)?;
    let listen = match options.listen.or(settings.listen) {
        Some(listen) => listen,
        None => LISTEN_DEFAULT.parse().map_err(|error| Usage(format!("{LISTEN_DEFAULT}: {error}")))?,
    };
    let certificates = options.certificates(&settings)?;
    let scheme = if certificates.is_some() { "https" } else { "http" };
    let trust = options.ca.trust(&settings);
    options.check_queues(&settings, &data, &trust)?;
    let runtime = runtime()?;
    let (listening, mut service) = if data::store_folder(&data).exists() {
        // Of two that are started on one folder at the same time, its lock decides which one serves.
        let service = Service::take(&data)?;
        (runtime.block_on(listen_on(listen))?, service)
    } else {
        // Nothing is made for a service that nobody could reach.
        let listening = runtime.block_on(listen_on(listen))?;
        (listening, Service::take(&data)?)
    };
    service.certificates = certificates;
    if let Some(requests) = options.requests_per_peer.or(settings.requests_per_peer) {
        service.limits.requests_per_peer_max = requests.get();
    }
    let opened = service.opened();
    let served = runtime.block_on(async {
        let address = listening.local_addr().context("cannot tell the address")?;
        let begin = |folder: &Folder| {
            if let Some((id, token)) = folder.first_token()? {
                // The only time that it is seen; to stdout, for scripts.
                let told = write_out(&format!("admin token: {token}\n"));
                folder.kept_if(id, told)?;
            }
            // After the first token was made, so that a first start can name it.
            let queues = options.queues.read(&settings, &folder.tokens, &trust)?;
            if let Err(error) = write_out(&format!("listening on {scheme}://{address}\n")) {
                // Who sends requests gets answers all the same.
                tracing::warn!(%error, "cannot say on standard output that it listens");
            }
            tracing::info!(data = %data.display(), "jaego serves");
            Ok(queues)
        };
        service.serve(listening, begin, future::pending()).await
    });
    end(runtime, &opened, served)
}

impl Options {
    /// Refuses what is said wrongly of the queues, before anything is made.
    fn check_queues(&self, settings: &Settings, data: &Path, trust: &Trust) -> Result<()> {
        let path = data::tokens_file(data);
        let is_there = path.try_exists().with_context(|| format!("cannot look for {}", path.display()))?;
        let tokens = is_there.then(|| Tokens::open(path)).transpose().context("cannot open the tokens")?;
        self.queues.check(settings, tokens.as_ref(), FIRST_TOKEN, trust)
    }

    /// What is shown over TLS, if that is spoken.
    fn certificates(&self, settings: &Settings) -> Result<Option<Certificates>> {
        let certificate = self.tls_cert.as_ref().or(settings.tls_cert.as_ref());
        let key = self.tls_key.as_ref().or(settings.tls_key.as_ref());
        match (certificate, key) {
            (None, None) => Ok(None),
            (Some(certificate), Some(key)) => {
                let opened = Certificates::open(certificate, key, &PROTOCOLS);
                Ok(Some(opened.context("cannot speak TLS")?))
            }
            (Some(_), None) => {
                Err(Usage("which key is the certificate for? Say --tls-key FILE".to_owned()).into())
            }
            (None, Some(_)) => {
                Err(Usage("which certificate is the key for? Say --tls-cert FILE".to_owned()).into())
            }
        }
    }
}

/// Lets the service open as many files and sockets as it may at all. The usual first limit of 1,024 is less than the
/// connections that it takes.
fn raise_open_files() {
    let limits = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limits.maximum, ..limits };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "cannot raise the number of open files");
    }
}

/// Has a crash leave no image of the memory on a disk: tokens on their way in, and what customers sent, are in it.
fn forbid_core_dumps() {
    let nothing = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, nothing) {
        tracing::warn!(%error, "cannot forbid core dumps");
    }
}

/// The threads of a service.
pub(crate) fn runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")
}

/// Ends the threads and then the store, whichever way the service ended. A store that is still being opened is left where
/// it is: opening changes nothing that a crash would mind.
pub(crate) fn end(runtime: Runtime, opened: &OnceLock<Arc<Engine>>, served: Result<()>) -> Result<()> {
    // The runtime's last tasks may still hold the store: it closes in any case.
    runtime.shutdown_timeout(Duration::from_secs(1));
    let closed = opened.get().map_or(Ok(()), |engine| engine.close());
    served?;
    closed.map_err(|detail| anyhow!("the store has failed: {detail}"))
}

pub(crate) async fn listen_on(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

/// A data folder, and who may come in.
#[derive(Clone)]
pub(crate) struct Folder {
    data: PathBuf,
    tokens: Arc<Tokens>,
}

impl Folder {
    /// Makes an admin's token where there has never been a token. Where all were revoked, somebody meant it.
    pub(crate) fn first_token(&self) -> Result<Option<(TokenId, String)>> {
        let path = self.tokens.path();
        if path.try_exists().with_context(|| format!("cannot look for {}", path.display()))? {
            return Ok(None);
        }
        let grant = TokenGrant { name: FIRST_TOKEN.to_owned(), role: Role::Admin, sites: None, rate: None };
        let (id, token) = self.tokens.create(grant).context("cannot make the first token")?;
        write_down(&self.data, Kind::TokenCreated, format!("{id} {FIRST_TOKEN} admin"));
        Ok(Some((id, token.reveal().to_owned())))
    }

    /// Keeps the first token if its holder was told, and otherwise takes it back: nobody could ever use it, and the next
    /// start makes another.
    fn kept_if(&self, id: TokenId, told: io::Result<()>) -> Result<()> {
        let Err(error) = told else { return Ok(()) };
        self.take_back(id)?;
        Err(error)
            .context("cannot print the admin's token, which was taken back: the next start makes another")
    }

    /// Revokes the first token, so that the next start makes another.
    pub(crate) fn take_back(&self, id: TokenId) -> Result<()> {
        self.tokens.revoke(id).context("cannot take the first token back")?;
        if self.tokens.list().is_empty() {
            let path = self.tokens.path();
            fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
        write_down(&self.data, Kind::TokenRevoked, id.to_string());
        Ok(())
    }
}

/// A service on a folder that no other process has. Its store is not open yet.
pub(crate) struct Service {
    folder: Folder,
    disk: RealDisk,
    opened: Arc<OnceLock<Arc<Engine>>>,
    certificates: Option<Certificates>,
    limits: Limits,
}

impl Service {
    /// Takes the data folder for itself, and makes it if it is not there.
    pub(crate) fn take(data: &Path) -> Result<Self> {
        let disk = data::take(data)?;
        let tokens = Arc::new(Tokens::open(data::tokens_file(data)).context("cannot open the tokens")?);
        let folder = Folder { data: data.to_owned(), tokens };
        let limits = Limits::default();
        Ok(Self { folder, disk, opened: Arc::default(), certificates: None, limits })
    }

    /// Where the store is to be found once it is open.
    pub(crate) fn opened(&self) -> Arc<OnceLock<Arc<Engine>>> {
        Arc::clone(&self.opened)
    }

    /// Serves until a signal, until the store fails, or until `ended`: at first only how far the opening of the store is.
    /// When it is open the service takes requests, and `begin` says which queues there are.
    pub(crate) async fn serve(
        self,
        listener: TcpListener,
        begin: impl FnOnce(&Folder) -> Result<Queues>,
        ended: impl Future<Output = ()>,
    ) -> Result<()> {
        let Self { folder, disk, opened, certificates, limits } = self;
        let metrics = Metrics::new();
        let audit =
            Audit::open(&data::audit_folder(&folder.data), &metrics).context("cannot open the audit log")?;
        let opening = Arc::new(Opening::default());
        opening.show(&metrics);
        let store: Arc<dyn Store> = opening.clone();
        let (stop, stopping) = watch::channel(false);
        let mut shell = Shell::new(limits, Arc::clone(&folder.tokens), metrics.clone());
        if let Some(certificates) = certificates {
            shell = shell.tls(certificates);
        }
        let waiting = opening.clone();
        let shell = service::mount(shell, Arc::clone(&store), &metrics, stopping.clone())
            .starting_while(move || waiting.starting())
            .audit(audit.clone());
        let mut terminate = unix::signal(unix::SignalKind::terminate()).context("cannot wait for SIGTERM")?;
        let mut interrupt = unix::signal(unix::SignalKind::interrupt()).context("cannot wait for SIGINT")?;
        let signal = async {
            tokio::select! {
                _ = terminate.recv() => tracing::info!("SIGTERM: finishing what was begun"),
                _ = interrupt.recv() => tracing::info!("SIGINT: finishing what was begun"),
                () = ended => {}
            }
        };
        let mut result = Ok(());
        let ending = async {
            let mut tasks = JoinSet::new();
            let working = async {
                let (data, progress) = (folder.data.clone(), Arc::clone(&opening));
                let recovering = spawn_blocking(move || {
                    data::open_store(&data, disk, Config::default(), |events| progress.replayed(events))
                });
                let engine = start(recovering.await.context("the opening of the store has stopped")??);
                let engine = opened.get_or_init(|| engine);
                show(engine, &metrics);
                let failed = engine.failed();
                // First, so that whoever reads that it listens is served.
                opening.open(engine.clone());
                let queues = begin(&folder)?;
                queues.start(&mut tasks, &store, &folder.tokens, &metrics, &stopping);
                tokio::select! {
                    detail = failed => Err(anyhow!("the store has failed: {detail}")),
                    // A queue that ends by itself does so with its store, which says why.
                    Some(Err(error)) = tasks.join_next() => Err(anyhow!("a queue has stopped: {error}")),
                }
            };
            result = tokio::select! {
                () = signal => Ok(()),
                result = working => result,
            };
            stop.send_replace(true);
            // What was read from a queue is finished like what came over HTTP.
            while tasks.join_next().await.is_some() {}
        };
        let drained = shell.serve(listener, ending).await;
        audit.close();
        tracing::info!(finished = drained.finished, cut = drained.cut, "jaego has stopped serving");
        result
    }
}

/// Starts an opened store, and says what its opening found.
fn start(recovered: Recovered<RealDisk>) -> Arc<Engine> {
    if let Some(cut) = &recovered.report.cut {
        tracing::warn!(file = %cut.file, offset = cut.offset, len = cut.len, what = %cut.what,
            "the remains of a frame that was being written were cut; nothing of it was ever acknowledged");
    }
    for error in &recovered.passed_over {
        let detail = format!("{:#}", anyhow!(error.clone()));
        tracing::warn!(%detail, "a checkpoint cannot be used and was passed over");
    }
    Engine::start(recovered, Config::default(), SystemClock)
}

/// Shows in the metrics what only this store knows.
fn show(engine: &Arc<Engine>, metrics: &Metrics) {
    let syncs = metrics.histogram(
        "jaego_sync_duration_seconds",
        "Time from writing a frame to the journal until it is durable.",
        &[],
        SYNC_MICROS,
    );
    let frames = metrics.histogram_of_counts("jaego_frame_events", "Events in a frame.", &[], FRAME_EVENTS);
    engine.observe_syncs(move |time, events| {
        syncs.observe(time);
        frames.observe_count(u64::from(events));
    });
    type Reading = fn(&Engine) -> f64;
    let rows: [(&'static str, &'static str, Reading); 2] = [
        ("jaego_checkpoint_sequence", "The last event in a checkpoint.", |engine| {
            engine.checkpoint().0 as f64
        }),
        (
            "jaego_clock_offset_seconds",
            "How far the store's clock is ahead of the machine's wall clock.",
            Engine::clock_offset_s,
        ),
    ];
    for (name, help, read) in rows {
        let engine = Arc::clone(engine);
        metrics.gauge_reading(name, help, &[], move || read(&engine));
    }
}
