//! Which routes there are and who may use them: refused unless a row says otherwise.

use http::{HeaderValue, Method};

use crate::tokens::Role;

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody, without a token.
    Public,
    /// Holders of a token with this role or a greater one.
    AtLeast(Role),
}

/// One route: a method, a path, who may use it and how long its body may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteRow {
    /// The method. A row for `GET` covers `HEAD` as well.
    pub method: Method,
    /// The path in axum's syntax (`/v1/holds/{id}`), letter for letter as the router has it.
    pub path: String,
    /// Who may use it.
    pub access: Access,
    /// Body limit in bytes, or `None` for [`Limits::body_bytes_max`](crate::Limits).
    pub body_bytes_max: Option<usize>,
}

/// The table of routes. What has no row here is refused, even if the router would serve it.
///
/// ```
/// use http::Method;
/// use jaego_server::{Access, Role, RouteRoles};
///
/// let table = RouteRoles::new()
///     .row(Method::GET, "/v1/stock", Access::AtLeast(Role::Reader))
///     .row_with_body(Method::POST, "/v1/batch", Access::AtLeast(Role::Operator), 32 << 20);
/// assert!(table.rows().iter().any(|row| row.path == "/v1/batch"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct RouteRoles {
    rows: Vec<RouteRow>,
    paths: matchit::Router<usize>,
    /// For each path, its methods.
    methods: Vec<Methods>,
}

#[derive(Clone, Debug)]
struct Methods {
    path: String,
    rows: Vec<(Method, usize)>,
    /// The `Allow` header.
    allow: HeaderValue,
}

/// What the table says of a method and a path.
#[derive(Debug)]
pub(crate) enum Match<'a> {
    /// The row with this number.
    Row(usize),
    /// The path is there, but only for these methods.
    MethodNotAllowed(&'a HeaderValue),
    /// No row has this path.
    NotFound,
}

impl RouteRoles {
    /// A table without rows: everything is refused.
    pub fn new() -> RouteRoles {
        RouteRoles::default()
    }

    /// Adds a row with the usual body limit.
    ///
    /// # Panics
    /// If the path is not in axum's syntax, conflicts with another, or the row is there already.
    pub fn row(self, method: Method, path: &str, access: Access) -> RouteRoles {
        self.add(RouteRow { method, path: path.to_owned(), access, body_bytes_max: None })
    }

    /// Adds a row with a body limit of its own, in bytes. Panics like [`RouteRoles::row`].
    pub fn row_with_body(
        self,
        method: Method,
        path: &str,
        access: Access,
        body_bytes_max: usize,
    ) -> RouteRoles {
        self.add(RouteRow { method, path: path.to_owned(), access, body_bytes_max: Some(body_bytes_max) })
    }

    /// All rows, in the order in which they were added.
    pub fn rows(&self) -> &[RouteRow] {
        &self.rows
    }

    fn add(mut self, row: RouteRow) -> RouteRoles {
        let number = self.rows.len();
        let place = self.methods.iter().position(|methods| methods.path == row.path);
        let place = place.unwrap_or_else(|| {
            let place = self.methods.len();
            if let Err(error) = self.paths.insert(row.path.clone(), place) {
                panic!("cannot add the route {}: {error}", row.path);
            }
            self.methods.push(Methods {
                path: row.path.clone(),
                rows: Vec::new(),
                allow: HeaderValue::from_static(""),
            });
            place
        });
        let methods = &mut self.methods[place];
        let repeated = methods.rows.iter().any(|(method, _)| *method == row.method);
        assert!(!repeated, "the route {} {} has two rows", row.method, row.path);
        methods.rows.push((row.method.clone(), number));
        methods.allow = allow(&methods.rows);
        self.rows.push(row);
        self
    }

    pub(crate) fn find(&self, method: &Method, path: &str) -> Match<'_> {
        let Ok(found) = self.paths.at(path) else { return Match::NotFound };
        let methods = &self.methods[*found.value];
        let row_of =
            |wanted: &Method| methods.rows.iter().find(|(method, _)| method == wanted).map(|(_, row)| *row);
        let get_for_head = || if method == Method::HEAD { row_of(&Method::GET) } else { None };
        match row_of(method).or_else(get_for_head) {
            Some(row) => Match::Row(row),
            None => Match::MethodNotAllowed(&methods.allow),
        }
    }
}

fn allow(rows: &[(Method, usize)]) -> HeaderValue {
    let mut names: Vec<&str> = rows.iter().map(|(method, _)| method.as_str()).collect();
    if names.contains(&"GET") && !names.contains(&"HEAD") {
        names.push("HEAD");
    }
    names.sort_unstable();
    HeaderValue::from_str(&names.join(", ")).expect("the names of methods are valid in a header")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_a_row_is_found() {
        let reader = Access::AtLeast(Role::Reader);
        let table = RouteRoles::new()
            .row(Method::GET, "/v1/holds/{id}", reader)
            .row(Method::POST, "/v1/holds", reader)
            .row(Method::PUT, "/v1/holds/{id}", reader)
            .row(Method::GET, "/{*file}", Access::Public);
        for (method, path, expected) in [
            (Method::GET, "/v1/holds/H1", "row 0"),
            (Method::HEAD, "/v1/holds/H1", "row 0"),
            (Method::PUT, "/v1/holds/H1", "row 2"),
            (Method::DELETE, "/v1/holds/H1", "allow GET, HEAD, PUT"),
            (Method::HEAD, "/v1/holds", "allow POST"),
            (Method::GET, "/index.html", "row 3"),
            (Method::GET, "/", "not found"),
            (Method::GET, "", "not found"),
        ] {
            let found = match table.find(&method, path) {
                Match::Row(row) => format!("row {row}"),
                Match::MethodNotAllowed(allow) => format!("allow {}", allow.to_str().unwrap()),
                Match::NotFound => "not found".to_owned(),
            };
            assert_eq!(found, expected, "{method} {path}");
        }
    }

    #[test]
    #[should_panic(expected = "two rows")]
    fn a_route_has_one_row() {
        let table = RouteRoles::new().row(Method::GET, "/a", Access::Public);
        let _ = table.row(Method::GET, "/a", Access::AtLeast(Role::Admin));
    }
}
