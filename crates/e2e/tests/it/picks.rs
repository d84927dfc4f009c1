//! Many workers over transfers whose goods lie in several zones: no two of them ever pick the same work, what one drops
//! another picks, and every pick happens once.

use serde_json::{Value, json};

use crate::{
    http::Connection,
    jaego::{Jaego, ok},
    workers::{Job, nothing_is_left, race},
};

const TRANSFERS: usize = 200;
const ZONES: [&str; 3] = ["A", "B", ""];
/// Lines of a transfer in each zone.
const LINES: usize = 2;

/// A transfer's picks in a zone. One fence may stand for several zones of a transfer: whoever picks under it, naming no
/// line, picks in all of them.
struct Picks;

impl Job for Picks {
    /// The transfer and the zone.
    type Work = (String, String);

    const WORKERS: usize = 16;
    const PIECES: usize = TRANSFERS * ZONES.len();

    /// Each zone has people of its own, and one in four goes anywhere.
    fn armful(number: usize) -> Value {
        let mut body = json!({"work": "picks", "count": 4});
        if let Some(zone) = ZONES.get(number % 4) {
            body["zone"] = json!(zone);
        }
        body
    }

    fn work(claim: &Value) -> (String, String) {
        let text = |field: &str| claim[field].as_str().unwrap().to_owned();
        (text("transfer"), text("zone"))
    }

    fn path((transfer, _): &(String, String)) -> String {
        format!("/v1/transfers/{transfer}/pick")
    }
}

#[test]
fn workers_that_die_leave_their_zones_to_others_and_everything_is_picked_once() {
    let jaego = Jaego::start();
    let mut admin = jaego.connect();
    open(&mut admin);

    let told = race::<Picks>(&jaego);

    assert!(told.keys().all(|code| code == "claim_lost"), "who comes too late picks nothing: {told:?}");
    nothing_is_left(&mut admin, &["waiting_picks", "claimed_picks"]);
    for transfer in 0..TRANSFERS {
        let transfer = ok(admin.get(&format!("/v1/transfers/T{transfer}")).unwrap());
        let each = LINES * ZONES.len();
        assert_eq!(transfer["picking"], json!([]), "{transfer}");
        let (allocated, picked) = (&transfer["totals"]["allocated"], &transfer["totals"]["picked"]);
        assert_eq!((allocated, picked), (&json!(0), &json!(each)), "{transfer}");
    }
    let staged = ok(admin.get("/v1/stock?site=ICN&location=S-01").unwrap());
    let units: u64 =
        staged["items"].as_array().unwrap().iter().map(|one| one["on_hand"].as_u64().unwrap()).sum();
    assert_eq!(units, (Picks::PIECES * LINES) as u64, "every unit lies in staging, once");
    jaego.end();
}

/// A site with a bin for each zone, and transfers that take from all of them.
fn open(admin: &mut Connection) {
    let mut commands = vec![
        json!({"op": "set_site", "site": "ICN"}),
        json!({"op": "set_site", "site": "PUS"}),
        json!({"op": "set_location", "site": "ICN", "location": "S-01", "kind": "staging"}),
    ];
    let mut stock = Vec::new();
    for (number, zone) in ZONES.iter().enumerate() {
        let location = format!("A-0{number}");
        commands.push(json!({"op": "set_location", "site": "ICN", "location": location, "kind": "storage",
            "zone": zone}));
        for line in 0..LINES {
            let sku = format!("sku-{number}-{line}");
            commands.push(json!({"op": "set_sku", "sku": sku}));
            stock.push(json!({"site": "ICN", "location": location, "sku": sku, "change": TRANSFERS,
                "account": "opening"}));
        }
    }
    commands.push(json!({"op": "adjust", "id": "opening", "lines": stock}));
    for transfer in 0..TRANSFERS {
        let lines: Vec<Value> = (0..ZONES.len() * LINES)
            .map(|line| {
                let sku = format!("sku-{}-{}", line / LINES, line % LINES);
                json!({"line": line.to_string(), "sku": sku, "quantity": 1})
            })
            .collect();
        let id = format!("T{transfer}");
        commands.push(json!({"op": "request_transfer", "id": id, "from": "ICN", "to": "PUS",
            "priority": transfer % 3, "lines": lines}));
        commands.push(json!({"op": "allocate_transfer", "transfer": id}));
    }
    ok(admin.post("/v1/batch", &json!({"atomic": true, "commands": commands})).unwrap());
}
