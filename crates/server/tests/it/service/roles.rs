//! Who may do what: every route and every command with no token, with garbage, with each role and with tokens that
//! are bound to sites.

use std::collections::BTreeSet;

use jaego_api::{
    COMMANDS, READS,
    table::{BATCH_PATH, BATCH_ROLE, Role as Needed},
};
use jaego_server::{Access, Role};
use serde_json::{Value, json};

use super::support::{Service, of, reference, sample};

/// Routes that stand in no table of the wire.
const OTHERS: [(&str, &str, Option<Role>); 5] = [
    ("GET", "/openapi.json", None),
    ("GET", "/docs", None),
    ("GET", "/healthz", None),
    ("GET", "/readyz", None),
    ("GET", "/metrics", Some(Role::Reader)),
];

/// Those that are not in the document of the API: itself and the page that shows it.
const ABOUT_THE_API: [&str; 2] = ["/openapi.json", "/docs"];

fn role(needed: Needed) -> Role {
    Role::ALL
        .into_iter()
        .find(|role| role.as_str() == needed.as_str())
        .expect("both tables know the same roles")
}

/// Every route that the tables tell, and the least role that may use it.
fn told() -> Vec<(&'static str, &'static str, Option<Role>)> {
    let commands = COMMANDS.iter().map(|row| (row.method.as_str(), row.path, Some(role(row.role))));
    let reads = READS.iter().map(|row| ("GET", row.path, Some(role(row.role))));
    commands.chain(reads).chain([("POST", BATCH_PATH, Some(role(BATCH_ROLE)))]).chain(OTHERS).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_is_in_the_tables_and_asks_for_the_role_that_they_tell() {
    let (store, _) = reference();
    let service = Service::over(store.clone()).await;
    let served = service.rows.iter().map(|row| {
        let role = match row.access {
            Access::Public => None,
            Access::AtLeast(role) => Some(role),
        };
        (row.method.as_str(), row.path.as_str(), role)
    });
    assert_eq!(served.collect::<BTreeSet<_>>(), told().into_iter().collect());
    let document = jaego_api::openapi::document();
    for (method, path, role) in told().into_iter().filter(|(_, path, _)| !ABOUT_THE_API.contains(path)) {
        let operation = &document["paths"][path][method.to_ascii_lowercase()];
        assert_eq!(operation["x-role"].as_str(), role.map(Role::as_str), "{method} {path}");
        assert_eq!(operation["security"] == json!([]), role.is_none(), "{method} {path}");
    }

    let unknown = format!("Bearer jaego_{}_{}", "0".repeat(16), "0".repeat(64));
    let mut callers = vec![(None, String::new()), (None, "Bearer nonsense".into()), (None, unknown)];
    callers.extend(Role::ALL.map(|role| (Some(role), service.token(role.as_str(), role, None))));
    let mut asked = 0;
    for (method, path, least) in told() {
        let url = url(path);
        for (role, token) in &callers {
            let expected = match (least, role) {
                (Some(_), None) => Some(401),
                (Some(least), Some(role)) if *role < least => Some(403),
                _ => None,
            };
            let headers: Vec<_> =
                (!token.is_empty()).then_some(("Authorization", token.as_str())).into_iter().collect();
            let body: &[u8] = if method == "GET" { b"" } else { b"{" };
            let answer = service.ask(method, &url, &headers, body).await;
            let refused = matches!(answer.status, 401 | 403).then_some(answer.status);
            assert_eq!(refused, expected, "{method} {path} as {role:?}");
            assert!(answer.status < 500, "{method} {path} as {role:?}: {answer:?}");
            if answer.status >= 400 {
                answer.code();
            }
            asked += 1;
        }
    }
    println!("{asked} requests over {} routes", told().len());
    assert_eq!(store.inspect(|_, events| events.len()), 0, "none of them did anything");
}

/// It is where a token is typed in.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_the_api_asks_nobody_else_and_stands_in_no_frame() {
    let service = Service::over(reference().0).await;
    let answer = service.ask("GET", "/docs", &[], b"").await;
    let policy = answer.header("content-security-policy").unwrap();
    for rule in ["default-src 'none'", "connect-src 'self'", "frame-ancestors 'none'", "form-action 'none'"] {
        assert!(policy.contains(rule), "{policy}");
    }
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
}

/// A URL of a route; its documents are nowhere.
fn url(path: &str) -> String {
    let parts = path.split('/').map(|part| match part {
        "{movement}" => "1.0",
        part if part.starts_with('{') => "nowhere",
        part => part,
    });
    parts.collect::<Vec<_>>().join("/")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_asks_for_the_greatest_role_of_its_commands() {
    let (store, _) = reference();
    let service = Service::over(store.clone()).await;
    for row in COMMANDS {
        let mut command = json!({"op": row.op});
        command.as_object_mut().unwrap().extend(sample(row.op).as_object().unwrap().clone());
        // A command that everybody with a batch may give stands first.
        let first = json!({"op": "move", "id": "M0", "site": "ICN", "lines": [
            {"sku": "mug", "quantity": 1, "from": "A-01", "to": "A-02"}]});
        for role_of_caller in Role::ALL {
            let caller = service.caller(role_of_caller);
            let (status, answer) = caller.post(BATCH_PATH, &json!({"commands": [first, command]})).await;
            let may = role_of_caller >= role(row.role) && role_of_caller >= role(BATCH_ROLE);
            assert_eq!(status, if may { 200 } else { 403 }, "{} as {role_of_caller:?}: {answer}", row.op);
            if !may {
                assert_eq!(answer["code"], "forbidden");
            }
        }
    }
}

/// What tokens that are bound to one site may do in a world with a transfer `T1` from `ICN` to `PUS`, a hold
/// `H1`, an order `O1` and a cart `C1` at `ICN`: bound to the site that gives, to the one that gets, to one that has nothing to do with it.
const BOUND: [(&str, [bool; 3]); 52] = [
    ("set_site", [true, false, false]),
    ("set_location", [true, false, false]),
    ("set_sku", [false, false, false]),
    ("set_lot", [false, false, false]),
    ("adjust", [true, false, false]),
    ("move", [true, false, false]),
    ("reverse", [false, false, false]),
    ("hold", [true, false, false]),
    ("confirm_hold", [true, false, false]),
    ("release_hold", [true, false, false]),
    ("extend_hold", [true, false, false]),
    ("change_hold", [true, false, false]),
    ("request_transfer", [true, true, false]),
    ("allocate_transfer", [true, false, false]),
    ("release_transfer", [true, false, false]),
    ("pick_transfer", [true, false, false]),
    ("unpick_transfer", [true, false, false]),
    ("ship_transfer", [true, false, false]),
    ("receive_transfer", [false, true, false]),
    ("cancel_transfer", [true, true, false]),
    ("close_transfer", [true, true, false]),
    ("charge", [false, false, false]),
    ("pay", [false, false, false]),
    ("refund", [false, false, false]),
    ("set_wallet_limit", [false, false, false]),
    ("authorize", [false, false, false]),
    ("capture", [false, false, false]),
    ("void", [false, false, false]),
    ("set_order_allocation", [true, false, false]),
    ("place_order", [true, false, false]),
    ("allocate_order", [true, false, false]),
    ("cancel_order", [true, false, false]),
    ("refund_order", [false, false, false]),
    ("claim_order", [true, false, false]),
    ("claim_orders", [true, false, false]),
    ("extend_claim", [true, false, false]),
    ("unclaim_order", [true, false, false]),
    ("complete_order", [true, false, false]),
    ("raise_fence", [false, false, false]),
    ("set_price_tiers", [false, false, false]),
    ("set_card", [false, false, false]),
    ("propose", [false, false, false]),
    ("accept_proposal", [false, false, false]),
    ("reject_proposal", [false, false, false]),
    ("withdraw_proposal", [false, false, false]),
    ("claim_transfer", [true, false, false]),
    ("extend_transfer_claim", [true, false, false]),
    ("unclaim_transfer", [true, false, false]),
    ("set_cart", [true, false, false]),
    ("set_cart_item", [true, false, false]),
    ("discard_cart", [true, false, false]),
    ("checkout", [false, false, false]),
];

/// The same for reads, by URL.
const BOUND_READS: [(&str, [bool; 3]); 59] = [
    ("/v1/sites", [true, true, true]),
    ("/v1/sites/ICN", [true, true, true]),
    ("/v1/sites/ICN/locations", [true, false, false]),
    ("/v1/sites/ICN/locations/A-01", [true, false, false]),
    ("/v1/skus", [true, true, true]),
    ("/v1/skus/mug", [true, true, true]),
    ("/v1/skus/mug/stock", [false, false, false]),
    ("/v1/skus/mug/history", [false, false, false]),
    ("/v1/skus/mug/history?site=ICN", [true, false, false]),
    ("/v1/skus/milk/lots", [true, true, true]),
    ("/v1/skus/milk/lots/L1", [true, true, true]),
    ("/v1/skus/milk/lots/L1/trace", [false, false, false]),
    ("/v1/skus/milk/lots/L1/holders", [false, false, false]),
    ("/v1/skus/milk/lots/L1/holders?site=ICN", [true, false, false]),
    ("/v1/stock", [false, false, false]),
    ("/v1/stock?site=ICN", [true, false, false]),
    ("/v1/stock?sku=mug", [false, false, false]),
    ("/v1/stock?as_of=2026-03-01T00:00:00Z", [false, false, false]),
    ("/v1/stock?site=ICN&as_of=2026-03-01T00:00:00Z", [true, false, false]),
    ("/v1/holds/H1", [true, false, false]),
    ("/v1/transfers", [false, false, false]),
    ("/v1/transfers?from=ICN", [true, false, false]),
    ("/v1/transfers?to=PUS", [false, true, false]),
    ("/v1/transfers/T1", [true, true, false]),
    ("/v1/transfers/T1/explain", [true, false, false]),
    ("/v1/transfers/T1/explain?line=1", [true, false, false]),
    ("/v1/orders", [false, false, false]),
    ("/v1/orders?status=waiting", [false, false, false]),
    ("/v1/orders?site=ICN", [true, false, false]),
    ("/v1/orders/O1", [true, false, false]),
    ("/v1/holds", [false, false, false]),
    ("/v1/holds?sku=mug", [false, false, false]),
    ("/v1/holds?site=ICN&sku=mug", [true, false, false]),
    ("/v1/carts", [false, false, false]),
    ("/v1/carts?owner=kim", [false, false, false]),
    ("/v1/carts?site=ICN", [true, false, false]),
    ("/v1/carts/C1", [true, false, false]),
    ("/v1/movements", [false, false, false]),
    ("/v1/movements?site=ICN", [true, false, false]),
    ("/v1/wallets", [false, false, false]),
    ("/v1/wallets/kim", [false, false, false]),
    ("/v1/wallets/kim/statement", [false, false, false]),
    ("/v1/authorizations/AU1", [false, false, false]),
    ("/v1/fences/product:42", [false, false, false]),
    ("/v1/events", [false, false, false]),
    ("/v1/status", [true, true, true]),
    ("/v1/price-tiers", [false, false, false]),
    ("/v1/cards", [false, false, false]),
    ("/v1/cards/sword", [false, false, false]),
    ("/v1/proposals", [false, false, false]),
    ("/v1/proposals/P1", [false, false, false]),
    ("/v1/orders?site=ICN&allocated=false", [true, false, false]),
    ("/v1/orders?since=2026-03-01T00:00:00Z", [false, false, false]),
    ("/v1/orders/O1/explain", [true, false, false]),
    ("/v1/transfers?worker=ann", [false, false, false]),
    ("/v1/transfers?from=ICN&worker=ann", [true, false, false]),
    ("/v1/transfers?to=PUS&worker=ann", [false, false, false]),
    ("/v1/wallets/kim/authorizations", [false, false, false]),
    ("/v1/accounts", [false, false, false]),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_bound_to_a_site_stays_there() {
    assert_eq!(
        BOUND.map(|(op, _)| op).into_iter().collect::<BTreeSet<_>>(),
        COMMANDS.iter().map(|row| row.op).collect()
    );
    let read = |row: &jaego_api::ReadRow| BOUND_READS.iter().any(|(url, _)| matches(row.path, url));
    assert!(READS.iter().all(read), "every read has a row");

    let (store, _) = reference();
    let service = Service::over(store.clone()).await;
    let admin = service.caller(Role::Admin);
    admin.stock(10).await;
    admin.world().await;
    let tokens = ["ICN", "PUS", "BUS"].map(|site| (site, service.token(site, Role::Admin, Some(&[site]))));
    // Those that are refused first, so that the world is still there for them.
    let mut rows: Vec<_> = BOUND
        .iter()
        .flat_map(|(op, may)| tokens.iter().zip(may).map(move |(token, may)| (*op, token, *may)))
        .collect();
    rows.sort_by_key(|(_, _, may)| *may);
    for (op, (site, token), may) in rows {
        let caller = super::support::Caller { service: &service, token: token.clone() };
        let before = store.inspect(|_, events| events.len());
        let (status, answer) = of(&caller.command(op, &sample(op)).await);
        let allowed = status != 403;
        assert_eq!(allowed, may, "{op} bound to {site}: {answer}");
        assert!(status < 500, "{op} bound to {site}: {answer}");
        let mut command = json!({"op": op});
        command.as_object_mut().unwrap().extend(sample(op).as_object().unwrap().clone());
        let (status, answer) = caller.post(BATCH_PATH, &json!({"commands": [command]})).await;
        assert_eq!(status != 403, may, "{op} in a batch bound to {site}: {answer}");
        if !may {
            assert_eq!(answer["code"], "forbidden");
            assert_names_only_what_was_asked(&answer, &sample(op).to_string());
            assert_eq!(store.inspect(|_, events| events.len()), before, "{op} bound to {site}");
        }
    }
    for (url, may) in BOUND_READS {
        for ((site, token), may) in tokens.iter().zip(may) {
            let caller = super::support::Caller { service: &service, token: token.clone() };
            let (status, answer) = caller.get(url).await;
            assert_eq!(status, if may { 200 } else { 403 }, "{url} bound to {site}: {answer}");
            if !may {
                assert_names_only_what_was_asked(&answer, url);
            }
        }
    }
}

/// Where somebody else's document is, is not told to whoever guesses its id.
fn assert_names_only_what_was_asked(answer: &Value, asked: &str) {
    let detail = answer["detail"].as_str().unwrap();
    for site in ["ICN", "PUS"] {
        assert!(!detail.contains(site) || asked.contains(site), "{asked}: {detail}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_token_is_told_nothing_of_the_stock_of_other_sites() {
    let (store, _) = reference();
    let service = Service::over(store).await;
    let admin = service.caller(Role::Admin);
    admin.stock(10).await;
    admin.world().await;
    // Four of them go to the order that waits.
    let line = json!({"site": "ICN", "location": "A-01", "sku": "milk", "lot": "L1", "change": 7});
    for (path, body) in [
        ("/v1/adjustments", json!({"id": "J1", "lines": [line]})),
        ("/v1/transfers/T1/allocate", json!({"partial": "allow"})),
        ("/v1/transfers/T1/pick", json!({"lines": [{"line": "1", "quantity": 2}]})),
        ("/v1/transfers/T1/ship", json!({"shipment": "S1", "lines": [{"line": "1", "quantity": 1}]})),
        ("/v1/transfers/T1/claim", json!({"worker": "ann"})),
    ] {
        let (status, answer) = admin.post(path, &body).await;
        assert_eq!(status, 200, "{path}: {answer}");
    }
    let bound = |sites: &[&str]| super::support::Caller {
        service: &service,
        token: service.token(sites[0], Role::Operator, Some(sites)),
    };
    let (giver, getter, both) = (bound(&["ICN"]), bound(&["PUS"]), bound(&["PUS", "ICN"]));

    assert_eq!(admin.get("/v1/skus/milk/lots/L1").await.1["inside"], 7);
    for caller in [&giver, &getter, &both] {
        let (_, lot) = caller.get("/v1/skus/milk/lots/L1").await;
        assert_eq!((&lot["lot"], lot.get("inside")), (&json!("L1"), None));
        let (_, lots) = caller.get("/v1/skus/milk/lots").await;
        assert_eq!((&lots["items"][0], &lots["next"]), (&lot, &json!(null)));
    }

    let (_, whole) = admin.get("/v1/transfers/T1").await;
    let line = &whole["lines"][0];
    assert_eq!(
        (&line["picks"][0]["location"], &line["staged"][0]["location"]),
        (&json!("A-01"), &json!("S-01"))
    );
    assert_eq!(whole["picking"][0]["claim"]["worker"], "ann");
    for caller in [&giver, &both] {
        assert_eq!(caller.get("/v1/transfers/T1").await.1, whole);
    }
    // Whoever gets the goods is told how far they are, and what is on the way.
    let mut shown = whole.clone();
    for secret in ["/lines/0/picks", "/lines/0/staged", "/picking"] {
        *shown.pointer_mut(secret).unwrap() = json!([]);
    }
    assert_eq!(shown["lines"][0]["transit"], json!([{"lot": "L1", "quantity": 1}]));
    assert_eq!(getter.get("/v1/transfers/T1").await.1, shown);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_site_that_gets_takes_nothing_away_that_the_other_one_holds() {
    let (store, _) = reference();
    let service = Service::over(store.clone()).await;
    let admin = service.caller(Role::Admin);
    admin.stock(10).await;
    admin.world().await;
    let bound = |site: &str| super::support::Caller {
        service: &service,
        token: service.token(site, Role::Operator, Some(&[site])),
    };
    let (giver, getter) = (bound("ICN"), bound("PUS"));
    let request = |id: &str| json!({"id": id, "from": "ICN", "to": "PUS", "lines": [{"line": "1", "sku": "mug", "quantity": 2}]});
    let post = async |caller: &super::support::Caller<'_>, path: &str, body: Value| {
        let path = format!("/v1/transfers{path}");
        let (status, answer) = caller.post(&path, &body).await;
        (status, answer["code"].as_str().unwrap_or_default().to_owned())
    };
    let done = (200, String::new());
    let forbidden = (403, "forbidden".to_owned());
    for id in ["T2", "T3", "T4"] {
        assert_eq!(post(&admin, "", request(id)).await, done);
    }
    for path in ["/T2/allocate", "/T3/allocate"] {
        assert_eq!(post(&giver, path, json!({})).await, done);
    }
    for staged in [false, true] {
        if staged {
            assert_eq!(
                post(&giver, "/T2/pick", json!({"lines": [{"line": "1", "quantity": 1}]})).await,
                done
            );
            assert_eq!(post(&giver, "/T2/claim", json!({"worker": "ann"})).await, done);
        }
        let before = store.inspect(|_, events| events.len());
        for (op, path, body) in [
            ("release_transfer", "/T2/release", json!({})),
            ("cancel_transfer", "/T2/cancel", json!({"release": true})),
            ("close_transfer", "/T2/close", json!({})),
        ] {
            assert_eq!(post(&getter, path, body.clone()).await, forbidden, "{path}, staged {staged}");
            let mut command = json!({"op": op, "transfer": "T2"});
            command.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
            let (status, answer) = getter.post(BATCH_PATH, &json!({"commands": [command]})).await;
            assert_eq!((status, &answer["code"]), (403, &json!("forbidden")), "{op}, staged {staged}");
        }
        assert_eq!(store.inspect(|_, events| events.len()), before);
    }
    // A plain cancel is refused by what is held, and not by whose token it is.
    assert_eq!(post(&getter, "/T2/cancel", json!({})).await, (409, "transfer_allocated".to_owned()));
    assert_eq!(post(&getter, "/T4/cancel", json!({"release": true})).await, forbidden);
    assert_eq!(post(&getter, "/T4/cancel", json!({})).await, done);
    assert_eq!(post(&giver, "/T2/cancel", json!({"release": true})).await, done);
    // What is on the way either of them ends.
    for (path, body) in [("/T3/pick", json!({})), ("/T3/ship", json!({"shipment": "S1"}))] {
        assert_eq!(post(&giver, path, body).await, done, "{path}");
    }
    assert_eq!(post(&getter, "/T3/close", json!({})).await, done);
}

/// Whether a URL is one of this route.
fn matches(path: &str, url: &str) -> bool {
    let url = url.split('?').next().unwrap_or_default();
    path.split('/').count() == url.split('/').count()
        && path.split('/').zip(url.split('/')).all(|(part, said)| part.starts_with('{') || part == said)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_token_cannot_smuggle_a_command_past_its_site_in_a_batch() {
    let (store, _) = reference();
    let service = Service::over(store.clone()).await;
    service.caller(Role::Admin).stock(10).await;
    let token = service.token("pus", Role::Admin, Some(&["PUS"]));
    let caller = super::support::Caller { service: &service, token };
    // Whoever gets the goods may ask for them. To give them is not theirs, not even in the same breath.
    let request = json!({"op": "request_transfer", "id": "T9", "from": "ICN", "to": "PUS",
        "lines": [{"line": "1", "sku": "mug", "quantity": 4}]});
    let allocate = json!({"op": "allocate_transfer", "transfer": "T9"});
    for atomic in [false, true] {
        let before = store.inspect(|_, events| events.len());
        let body = json!({"atomic": atomic, "commands": [request, allocate]});
        let (status, answer) = caller.post(BATCH_PATH, &body).await;
        // What does not stand or fall with its batch is nobody's until it is there.
        let expected = if atomic { (403, "forbidden") } else { (404, "transfer_not_found") };
        assert_eq!((status, answer["code"].as_str().unwrap()), expected, "{answer}");
        assert_eq!(store.inspect(|_, events| events.len()), before);
    }
    // A transfer of its own it may ask for and cancel in one batch, and hold and release what is its own.
    let request = json!({"op": "request_transfer", "id": "T8", "from": "ICN", "to": "PUS",
        "lines": [{"line": "1", "sku": "mug", "quantity": 4}]});
    let cancel = json!({"op": "cancel_transfer", "transfer": "T8"});
    let (status, answer) =
        caller.post(BATCH_PATH, &json!({"atomic": true, "commands": [request, cancel]})).await;
    assert_eq!(status, 200, "{answer}");
    // Why a transfer lacks stock is told by the stock of the site that gives, even where that has none.
    let (status, answer) = caller.get("/v1/transfers/T8/explain").await;
    assert_eq!((status, &answer["code"]), (403, &json!("forbidden")), "{answer}");
    // What is nowhere is nobody's: it is told, and nothing that comes into being meanwhile is touched.
    let (status, answer) = caller.post("/v1/transfers/T9/allocate", &json!({})).await;
    assert_eq!((status, &answer["code"]), (404, &json!("transfer_not_found")), "{answer}");
    let (status, answer) = caller.post("/v1/holds/H9/release", &json!({})).await;
    assert_eq!((status, &answer["code"]), (404, &json!("hold_not_found")), "{answer}");
    let (status, answer) = caller.post("/v1/orders/O9/cancel", &json!({})).await;
    assert_eq!((status, &answer["code"]), (404, &json!("order_not_found")), "{answer}");
    let (status, answer) = caller.put("/v1/carts/C9/items/mug", &json!({"quantity": 1})).await;
    assert_eq!((status, &answer["code"]), (404, &json!("cart_not_found")), "{answer}");
    // A fence would shut out whoever comes with a lower one, at other sites as well.
    let place = json!({"op": "hold", "id": "H7", "fenced": "door=7",
        "lines": [{"site": "PUS", "sku": "mug", "quantity": 1}]});
    for atomic in [false, true] {
        let (status, answer) = caller.post(BATCH_PATH, &json!({"atomic": atomic, "commands": [place]})).await;
        assert_eq!((status, &answer["code"]), (403, &json!("forbidden")), "{answer}");
    }
    // A cart of its own it may open and fill in one batch.
    let open = json!({"op": "set_cart", "cart": "C8", "site": "PUS", "owner": "kim"});
    let fill = json!({"op": "set_cart_item", "cart": "C8", "sku": "mug", "quantity": 1});
    let (status, answer) = caller.post(BATCH_PATH, &json!({"atomic": true, "commands": [open, fill]})).await;
    assert_eq!(status, 200, "{answer}");
    // Cancelling what was paid for gives money back, which is for nobody who is bound.
    let admin = service.caller(Role::Admin);
    for (path, body) in [
        ("/v1/skus/mug", json!({"prices": {"KRW": 5}})),
        ("/v1/carts/C7", json!({"site": "ICN", "owner": "kim"})),
        ("/v1/carts/C7/items/mug", json!({"quantity": 1})),
    ] {
        let (status, answer) = admin.put(path, &body).await;
        assert_eq!(status, 200, "{path}: {answer}");
    }
    for (path, body) in [
        ("/v1/wallets/kim/charge", json!({"currency": "KRW", "amount": 5})),
        ("/v1/carts/C7/checkout", json!({"currency": "KRW"})),
    ] {
        let (status, answer) = admin.post(path, &body).await;
        assert_eq!(status, 200, "{path}: {answer}");
    }
    let token = service.token("icn", Role::Admin, Some(&["ICN"]));
    let bound = super::support::Caller { service: &service, token };
    let (status, answer) = bound.post("/v1/orders/C7/cancel", &json!({})).await;
    assert_eq!((status, &answer["code"]), (403, &json!("forbidden")), "{answer}");
    let (status, answer) = admin.post("/v1/orders/C7/cancel", &json!({})).await;
    assert_eq!((status, &answer["balance"]), (200, &json!(5)), "{answer}");
    // An order of its own it may place and cancel in one batch.
    let place = json!({"op": "place_order", "id": "O8", "site": "PUS", "backorder": true,
        "lines": [{"sku": "mug", "quantity": 1}]});
    let cancel = json!({"op": "cancel_order", "order": "O8"});
    let (status, answer) =
        caller.post(BATCH_PATH, &json!({"atomic": true, "commands": [place, cancel]})).await;
    assert_eq!(status, 200, "{answer}");
}
