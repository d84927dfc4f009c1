//! A service over a store, and callers of it.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use jaego_domain::Timestamp;
use jaego_server::{
    Drained, Limits, Metrics, Role, RouteRow, Shell, Tokens, service,
    tokens::{Rate, TokenGrant},
};
use jaego_store::{Reference, Store, conformance::START};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

use crate::shell::support::{Answer, Client, PATIENCE};

/// A service on a free port of 127.0.0.1.
pub(super) struct Service {
    pub(super) address: SocketAddr,
    /// Every route that it has, its own and the shell's.
    pub(super) rows: Vec<RouteRow>,
    pub(super) metrics: Metrics,
    tokens: Arc<Tokens>,
    stop: watch::Sender<bool>,
    running: JoinHandle<Drained>,
    _folder: TempDir,
}

impl Service {
    pub(super) async fn over(store: Arc<dyn Store>) -> Self {
        Self::over_with(store, |shell| shell).await
    }

    /// One with more to its shell.
    pub(super) async fn over_with(store: Arc<dyn Store>, with: impl FnOnce(Shell) -> Shell) -> Self {
        Self::launch(store, Limits::default(), with).await
    }

    /// One with other limits.
    pub(super) async fn limited(store: Arc<dyn Store>, limits: Limits) -> Self {
        Self::launch(store, limits, |shell| shell).await
    }

    async fn launch(store: Arc<dyn Store>, limits: Limits, with: impl FnOnce(Shell) -> Shell) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tokens = Arc::new(Tokens::open(folder.path().join("tokens.json")).unwrap());
        let metrics = Metrics::new();
        // Whoever tests refusals without a token comes from one address, again and again.
        let limits = Limits { auth_failures_max: 100_000, ..limits };
        let shell = Shell::new(limits, Arc::clone(&tokens), metrics.clone());
        let (stop, stopping) = watch::channel(false);
        let shell = with(service::mount(shell, store, &metrics, stopping.clone()));
        let rows = shell.routes().rows().to_vec();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut stopped = stopping;
        let running = tokio::spawn(shell.serve(listener, async move {
            let _ = stopped.wait_for(|stopping| *stopping).await;
        }));
        Self { address, rows, metrics, tokens, stop, running, _folder: folder }
    }

    pub(super) fn token(&self, name: &str, role: Role, sites: Option<&[&str]>) -> String {
        let sites = sites.map(|sites| sites.iter().map(|site| (*site).to_owned()).collect());
        self.grant(TokenGrant { name: name.to_owned(), role, sites, rate: None })
    }

    pub(super) fn grant(&self, grant: TokenGrant) -> String {
        format!("Bearer {}", self.tokens.create(grant).unwrap().1.reveal())
    }

    pub(super) async fn connect(&self) -> Client {
        Client::over(TcpStream::connect(self.address).await.unwrap())
    }

    /// One request on a connection of its own.
    pub(super) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        self.connect().await.request(method, path, headers, body).await
    }

    /// A caller of this role, bound to no site.
    pub(super) fn caller(&self, role: Role) -> Caller<'_> {
        Caller { service: self, token: self.token(role.as_str(), role, None) }
    }

    /// An operator whose token is good for so many commands a second, and so many at once.
    pub(super) fn limited_caller(&self, per_s: u32, burst: u32) -> Caller<'_> {
        let rate = Some(Rate { per_s, burst });
        let token =
            self.grant(TokenGrant { name: "robot".to_owned(), role: Role::Operator, sites: None, rate });
        Caller { service: self, token }
    }

    /// Begins the shutdown and waits for its end.
    pub(super) async fn stop(self) -> Drained {
        self.stop.send_replace(true);
        tokio::time::timeout(PATIENCE, self.running).await.expect("the shutdown ends").unwrap()
    }

    /// The store's own last word on how far it is.
    pub(super) async fn sequence(&self, caller: &Caller<'_>) -> u64 {
        caller.get("/v1/status").await.1["sequence"].as_u64().unwrap()
    }
}

/// Somebody with a token.
pub(super) struct Caller<'s> {
    pub(super) service: &'s Service,
    pub(super) token: String,
}

impl Caller<'_> {
    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Answer {
        let mut all = vec![("Authorization", self.token.as_str())];
        all.extend_from_slice(headers);
        self.service.ask(method, path, &all, body.as_ref()).await
    }

    pub(super) async fn get(&self, path: &str) -> (u16, Value) {
        of(&self.send("GET", path, &[], b"").await)
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        of(&self.send("POST", path, &[], body.to_string()).await)
    }

    pub(super) async fn put(&self, path: &str, body: &Value) -> (u16, Value) {
        of(&self.send("PUT", path, &[], body.to_string()).await)
    }

    /// Two sites, a SKU, and `units` of it at `ICN`.
    pub(super) async fn stock(&self, units: u64) {
        for (path, body) in [
            ("/v1/sites/ICN", json!({})),
            ("/v1/sites/PUS", json!({})),
            ("/v1/sites/ICN/locations/A-01", json!({"kind": "storage"})),
            ("/v1/skus/mug", json!({})),
        ] {
            let (status, answer) = self.put(path, &body).await;
            assert_eq!(status, 200, "{path}: {answer}");
        }
        let line =
            json!({"site": "ICN", "location": "A-01", "sku": "mug", "change": units, "account": "opening"});
        let (status, answer) = self.post("/v1/adjustments", &json!({"id": "opening", "lines": [line]})).await;
        assert_eq!(status, 200, "{answer}");
    }

    /// On top of [`Caller::stock`]: a lot, a transfer `T1` from `ICN` to `PUS` that lacks everything, a hold `H1`, and
    /// a proposal `P1` of kim's sword for lee's shield, and
    /// a cart `C1` with nothing in it.
    pub(super) async fn world(&self) {
        for (path, body) in [
            ("/v1/sites/BUS", json!({})),
            ("/v1/sites/ICN/locations/A-02", json!({"kind": "storage"})),
            ("/v1/sites/ICN/locations/S-01", json!({"kind": "staging"})),
            ("/v1/skus/milk", json!({"tracking": "lot"})),
            ("/v1/skus/milk/lots/L1", json!({})),
            ("/v1/cards/sword", json!({"owner": "kim", "price": 9_000})),
            ("/v1/cards/shield", json!({"owner": "lee", "price": 7_000})),
            ("/v1/cards/crown", json!({"owner": "lee", "price": 60_000})),
            ("/v1/carts/C1", json!({"site": "ICN", "owner": "kim"})),
        ] {
            let (status, answer) = self.put(path, &body).await;
            assert_eq!(status, 200, "{path}: {answer}");
        }
        let line = json!({"line": "1", "sku": "milk", "quantity": 4});
        let transfer = json!({"id": "T1", "from": "ICN", "to": "PUS", "lines": [line]});
        // It waits for milk, of which there is none.
        let order =
            json!({"id": "O1", "site": "ICN", "backorder": true, "lines": [{"sku": "milk", "quantity": 4}]});
        let money = |amount: u64| json!({"currency": "KRW", "amount": amount});
        let mut held = money(3);
        held["id"] = "AU1".into();
        let proposal = json!({"id": "P1", "owner": "kim", "from_card": "sword", "to_card": "shield"});
        for (path, body) in [
            ("/v1/transfers", transfer),
            ("/v1/holds", hold("H1", 2)),
            ("/v1/orders", order),
            ("/v1/wallets/kim/charge", money(10)),
            ("/v1/wallets/kim/authorize", held),
            ("/v1/proposals", proposal),
        ] {
            let (status, answer) = self.post(path, &body).await;
            assert_eq!(status, 200, "{path}: {answer}");
        }
    }

    /// A command on its own route; `fields` has those of its path too.
    pub(super) async fn command(&self, op: &str, fields: &Value) -> Answer {
        let (method, path, body) = route(op, fields);
        self.send(method, &path, &[], body.to_string()).await
    }
}

/// The method, the path and the body of a command.
pub(super) fn route(op: &str, fields: &Value) -> (&'static str, String, Value) {
    let row = jaego_api::table::command(op).unwrap_or_else(|| panic!("there is no command {op}"));
    let mut body = fields.clone();
    let path = row.path_parameters().fold(row.path.to_owned(), |path, name| {
        let value = body.as_object_mut().unwrap().remove(name).unwrap();
        path.replace(&format!("{{{name}}}"), value.as_str().unwrap())
    });
    (row.method.as_str(), path, body)
}

/// The status and the JSON of an answer; null where it has none.
pub(super) fn of(answer: &Answer) -> (u16, Value) {
    (answer.status, serde_json::from_slice(&answer.body).unwrap_or(Value::Null))
}

/// The body of a hold of mugs at `ICN`.
pub(super) fn hold(id: &str, quantity: u64) -> Value {
    json!({"id": id, "lines": [{"site": "ICN", "sku": "mug", "quantity": quantity}]})
}

/// A store in memory, and the hand on its clock.
pub(super) fn reference() -> (Arc<Reference>, Arc<AtomicU64>) {
    let clock = Arc::new(AtomicU64::new(START.0));
    let hand = Arc::clone(&clock);
    (Arc::new(Reference::new(move || Timestamp(clock.load(Ordering::SeqCst)))), hand)
}

/// The fields of a command that is well formed, those of its path included: about the world of [`Caller::world`].
pub(super) fn sample(op: &str) -> Value {
    let part = json!([{"line": "1", "quantity": 1}]);
    match op {
        "set_site" => json!({"site": "ICN", "name": "인천", "time_zone": "Asia/Seoul", "strategy": "fifo"}),
        "set_location" => {
            json!({"site": "ICN", "location": "A-01", "zone": "cold", "pick_order": 3, "kind": "storage"})
        }
        "set_sku" => json!({"sku": "cup", "name": "컵", "tracking": "none", "safety_stock": {"ICN": 5},
            "prices": {"KRW": 3000}}),
        "set_lot" => {
            json!({"sku": "milk", "lot": "L1", "received_on": "2026-02-01", "expires_on": "2026-04-01",
            "blocked": false})
        }
        "adjust" => json!({"id": "J1", "reason": "found", "release_holds": false,
            "release": [{"kind": "hold", "id": "H1"}], "lines": [
            {"site": "ICN", "location": "A-01", "sku": "milk", "lot": "L1", "change": 3, "account": "supplier"}]}),
        "move" => json!({"id": "M1", "site": "ICN", "reason": "tidy", "with_holds": false, "lines": [
            {"sku": "mug", "quantity": 1, "from": "A-01", "to": "A-02"}]}),
        "reverse" => json!({"movement": "1.0"}),
        "hold" => {
            json!({"id": "H2", "owner": "cart-7", "expires_in_s": 60, "partial": "forbid", "strategy": "fefo",
            "lines": [{"site": "ICN", "sku": "mug", "quantity": 1, "location": "A-01"}]})
        }
        "confirm_hold" => json!({"hold": "H1", "to": "customer", "release_rest": false,
            "lines": [{"line": 1, "quantity": 1}]}),
        "release_hold" => json!({"hold": "H1", "lines": [{"line": 1, "quantity": 1}]}),
        "extend_hold" => json!({"hold": "H1", "expires_in_s": 60}),
        "change_hold" => json!({"hold": "H1", "partial": "allow", "strategy": "fifo",
            "lines": [{"site": "ICN", "sku": "mug", "quantity": 1, "location": "A-01"}]}),
        "request_transfer" => json!({"id": "T2", "from": "ICN", "to": "PUS", "priority": 5,
            "lines": [{"line": "1", "sku": "milk", "quantity": 1, "lot": "L1"}]}),
        "allocate_transfer" => {
            json!({"transfer": "T1", "strategy": "fefo", "partial": "allow", "dry_run": true,
            "lines": [{"line": "1", "quantity": 1, "location": "A-01"}]})
        }
        "release_transfer" => json!({"transfer": "T1", "lines": part}),
        "cancel_transfer" => json!({"transfer": "T1", "release": false}),
        "pick_transfer" => {
            json!({"transfer": "T1", "staging": "S-01", "worker": "ann", "fence": 7,
            "lines": [{"line": "1", "location": "A-01",
            "quantity": 1, "short": {"quantity": 1, "reason": "not_found"}}]})
        }
        "unpick_transfer" => json!({"transfer": "T1", "lines": part, "to": "A-01"}),
        "ship_transfer" => json!({"transfer": "T1", "shipment": "S1", "lines": part}),
        "receive_transfer" => json!({"transfer": "T1", "location": "R-01", "quarantine": "Q-01",
            "lines": [{"line": "1", "quantity": 1, "damaged": 1}]}),
        "close_transfer" => json!({"transfer": "T1"}),
        "charge" | "pay" | "refund" => {
            json!({"owner": "kim", "currency": "KRW", "amount": 1, "reason": "lunch", "reference": "R-1"})
        }
        "set_wallet_limit" => json!({"owner": "kim", "currency": "KRW", "limit": -5}),
        "authorize" => {
            json!({"id": "AU2", "owner": "kim", "currency": "KRW", "amount": 1, "reason": "dinner",
            "reference": "R-2"})
        }
        "capture" => json!({"owner": "kim", "authorization": "AU1", "amount": 1, "release_rest": false}),
        "void" => json!({"owner": "kim", "authorization": "AU1"}),
        "set_order_allocation" => json!({"site": "ICN", "allocation": "on_demand"}),
        "place_order" => {
            json!({"id": "O2", "site": "ICN", "customer": "kim", "priority": 5, "backorder": true,
            "lines": [{"sku": "milk", "quantity": 1, "lot": "L1"}]})
        }
        "allocate_order" | "cancel_order" => json!({"order": "O1"}),
        "refund_order" => json!({"order": "O1", "amount": 5, "reason": "broken"}),
        "claim_order" => json!({"order": "O1", "worker": "ann", "lease_s": 60}),
        "claim_orders" => {
            json!({"site": "ICN", "worker": "ann", "work": "picks", "zone": "", "policy": "priority",
            "count": 2, "lease_s": 60})
        }
        "extend_claim" => json!({"order": "O1", "worker": "ann", "fence": 7, "lease_s": 60}),
        "unclaim_order" | "complete_order" => json!({"order": "O1", "worker": "ann", "fence": 7}),
        "raise_fence" => json!({"resource": "product:42", "fence": 7}),
        "set_price_tiers" => json!({"from": [0, 10_000]}),
        "set_card" => json!({"card": "sword", "owner": "kim", "price": 9_000, "from_owner": "kim"}),
        "propose" => json!({"id": "P2", "owner": "kim", "from_card": "sword", "to_card": "crown"}),
        "accept_proposal" | "reject_proposal" => json!({"proposal": "P1", "owner": "lee"}),
        "withdraw_proposal" => json!({"proposal": "P1", "owner": "kim"}),
        "claim_transfer" => json!({"transfer": "T1", "worker": "ann", "zone": "", "lease_s": 60}),
        "extend_transfer_claim" => {
            json!({"transfer": "T1", "worker": "ann", "fence": 7, "zone": "", "lease_s": 60})
        }
        "unclaim_transfer" => json!({"transfer": "T1", "worker": "ann", "fence": 7, "zone": ""}),
        "set_cart" => json!({"cart": "C2", "site": "ICN", "owner": "kim", "hold_s": 60}),
        "set_cart_item" => json!({"cart": "C1", "sku": "mug", "quantity": 1}),
        "discard_cart" => json!({"cart": "C1"}),
        "checkout" => json!({"cart": "C1", "currency": "KRW", "expected_total": 5, "order": "O3"}),
        other => panic!("{other} has no sample: whoever adds a command adds one"),
    }
}
