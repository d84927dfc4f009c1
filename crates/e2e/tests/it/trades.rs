//! Two owners and one pair of cards: of what they ask for at the same moment only one thing can be true.

use std::collections::BTreeMap;

use serde_json::json;

use crate::{
    http::Connection,
    jaego::{Jaego, ok},
    race::{Answer, race},
};

const ROUNDS: usize = 500;

/// For each round a card `A` of kim and a card `B` of lee.
fn cards(jaego: &Jaego) {
    let card =
        |card: String, owner: &str| json!({"op": "set_card", "card": card, "owner": owner, "price": 5});
    let pair = |round| [card(format!("A{round}"), "kim"), card(format!("B{round}"), "lee")];
    let commands: Vec<_> = (0..ROUNDS).flat_map(pair).collect();
    ok(jaego.connect().post("/v1/batch", &json!({"atomic": true, "commands": commands})).unwrap());
}

/// For each round an open proposal `P` of kim's card for lee's.
fn proposals(jaego: &Jaego) {
    let propose = |round| {
        json!({"op": "propose", "id": format!("P{round}"), "owner": "kim", "from_card": format!("A{round}"),
            "to_card": format!("B{round}")})
    };
    let commands: Vec<_> = (0..ROUNDS).map(propose).collect();
    ok(jaego.connect().post("/v1/batch", &json!({"atomic": true, "commands": commands})).unwrap());
}

fn propose(connection: &mut Connection, id: String, owner: &str, from: String, to: String) -> Answer {
    let body = json!({"id": id, "owner": owner, "from_card": from, "to_card": to});
    connection.post("/v1/proposals", &body).unwrap()
}

fn answer(connection: &mut Connection, action: &str, proposal: &str, owner: &str) -> Answer {
    connection.post(&format!("/v1/proposals/{proposal}/{action}"), &json!({"owner": owner})).unwrap()
}

/// Who has the two cards of a round.
fn owners(connection: &mut Connection, round: usize) -> [String; 2] {
    ["A", "B"].map(|letter| {
        let card = ok(connection.get(&format!("/v1/cards/{letter}{round}")).unwrap());
        card["owner"].as_str().unwrap().to_owned()
    })
}

#[test]
fn of_two_proposals_in_opposite_directions_one_stands() {
    let jaego = Jaego::start();
    cards(&jaego);
    let kim = |connection: &mut Connection, round: usize| {
        propose(connection, format!("K{round}"), "kim", format!("A{round}"), format!("B{round}"))
    };
    let lee = |connection: &mut Connection, round: usize| {
        propose(connection, format!("L{round}"), "lee", format!("B{round}"), format!("A{round}"))
    };
    let answers = race(&jaego, ROUNDS, [&kim, &lee]);
    let mut won = [0; 2];
    for (round, answers) in answers.iter().enumerate() {
        let statuses = [answers[0].0, answers[1].0];
        let (winner, id) = match statuses {
            [200, 409] => (0, format!("K{round}")),
            [409, 200] => (1, format!("L{round}")),
            _ => panic!("round {round}: {answers:?}"),
        };
        won[winner] += 1;
        let refused = &answers[1 - winner].1;
        assert_eq!(
            (&refused["code"], &refused["proposal"]),
            (&json!("pair_proposed"), &json!(id)),
            "{refused}"
        );
    }
    println!("kim was first {} times, lee {} times", won[0], won[1]);
    assert!(won.iter().all(|won| *won > 0), "one of them was always first: that was no race");
    let mut admin = jaego.connect();
    let status = ok(admin.get("/v1/status").unwrap());
    assert_eq!(status["open_proposals"], ROUNDS);
    for (round, answers) in answers.iter().enumerate() {
        let open = ok(admin.get(&format!("/v1/proposals?card=A{round}&status=open")).unwrap());
        let won = answers.iter().find(|(status, _)| *status == 200).unwrap();
        assert_eq!(open["items"].as_array().map(Vec::len), Some(1), "{open}");
        assert_eq!(open["items"][0]["id"], won.1["id"], "{open}");
    }
    jaego.end();
}

#[test]
fn an_accepted_proposal_was_made_on_the_price_that_stands() {
    let jaego = Jaego::start();
    cards(&jaego);
    proposals(&jaego);
    let accept =
        |connection: &mut Connection, round: usize| answer(connection, "accept", &format!("P{round}"), "lee");
    let change = |connection: &mut Connection, round: usize| {
        connection.put(&format!("/v1/cards/A{round}"), &json!({"owner": "kim", "price": 6})).unwrap()
    };
    let answers = race(&jaego, ROUNDS, [&accept, &change]);
    let mut admin = jaego.connect();
    let mut told: BTreeMap<&str, usize> = BTreeMap::new();
    for (round, [(accept, accepted), (_, set)]) in answers.iter().enumerate() {
        let proposal = ok(admin.get(&format!("/v1/proposals/P{round}")).unwrap());
        let (first, status, owners_are) = match accept {
            // The card is not kim's any more, and a new price does not take it back.
            200 => {
                assert_eq!([&set["code"], &set["owned_by"]], ["card_not_owned", "lee"], "{set}");
                ("accepted", json!("accepted"), ["lee", "kim"])
            }
            _ => {
                let expected = [json!("proposal_ended"), json!("closed"), json!("price_changed")];
                let found = ["code", "proposal_status", "reason"].map(|name| accepted[name].clone());
                assert_eq!(found, expected, "{accepted}");
                let closed = json!([{"proposal": format!("P{round}"), "reason": "price_changed"}]);
                assert_eq!(set["closed"], closed, "{set}");
                ("changed", json!("closed"), ["kim", "lee"])
            }
        };
        assert_eq!(proposal["status"], status, "{proposal}");
        assert_eq!(owners(&mut admin, round), owners_are, "round {round}");
        *told.entry(first).or_default() += 1;
    }
    println!("which came first: {told:?}");
    assert_eq!(told.len(), 2, "one of them was always first: that was no race");
    jaego.end();
}

#[test]
fn what_is_accepted_cannot_be_withdrawn_and_what_is_withdrawn_cannot_be_accepted() {
    let jaego = Jaego::start();
    cards(&jaego);
    proposals(&jaego);
    let answers = race(
        &jaego,
        ROUNDS,
        [&|one, round| answer(one, "accept", &format!("P{round}"), "lee"), &|one, round| {
            answer(one, "withdraw", &format!("P{round}"), "kim")
        }],
    );
    let mut admin = jaego.connect();
    let mut told: BTreeMap<&str, usize> = BTreeMap::new();
    for (round, answers) in answers.iter().enumerate() {
        let (first, owners_are, refused) = match [answers[0].0, answers[1].0] {
            [200, 409] => ("accepted", ["lee", "kim"], &answers[1].1),
            [409, 200] => ("withdrawn", ["kim", "lee"], &answers[0].1),
            _ => panic!("round {round}: {answers:?}"),
        };
        let found = (&refused["code"], &refused["proposal_status"]);
        assert_eq!(found, (&json!("proposal_ended"), &json!(first)), "{refused}");
        assert_eq!(owners(&mut admin, round), owners_are, "round {round}");
        *told.entry(first).or_default() += 1;
    }
    println!("which came first: {told:?}");
    assert_eq!(told.len(), 2, "one of them was always first: that was no race");
    jaego.end();
}

/// Park wants kim's card as well, and both owners accept at once: kim's card goes to one of them only.
#[test]
fn a_card_is_swapped_once() {
    let jaego = Jaego::start();
    cards(&jaego);
    proposals(&jaego);
    let more = |round| {
        let card = format!("C{round}");
        let proposal = json!({"op": "propose", "id": format!("Q{round}"), "owner": "park", "from_card": card,
            "to_card": format!("A{round}")});
        [json!({"op": "set_card", "card": card, "owner": "park", "price": 5}), proposal]
    };
    let commands: Vec<_> = (0..ROUNDS).flat_map(more).collect();
    ok(jaego.connect().post("/v1/batch", &json!({"atomic": true, "commands": commands})).unwrap());
    let answers = race(
        &jaego,
        ROUNDS,
        [&|one, round| answer(one, "accept", &format!("P{round}"), "lee"), &|one, round| {
            answer(one, "accept", &format!("Q{round}"), "kim")
        }],
    );
    let mut admin = jaego.connect();
    let lee_won = answers.iter().filter(|[lee, _]| lee.0 == 200).count();
    assert!(lee_won > 0 && lee_won < ROUNDS, "it was no race: lee won {lee_won} times");
    for (round, answers) in answers.iter().enumerate() {
        let (won, lost, owner) = match [answers[0].0, answers[1].0] {
            [200, 409] => (0, "Q", "lee"),
            [409, 200] => (1, "P", "park"),
            _ => panic!("round {round}: {answers:?}"),
        };
        let closed = json!([{"proposal": format!("{lost}{round}"), "reason": "card_traded"}]);
        assert_eq!(answers[won].1["closed"], closed, "round {round}");
        assert_eq!(answers[1 - won].1["reason"], "card_traded", "round {round}");
        assert_eq!(owners(&mut admin, round)[0], owner, "round {round}");
    }
    let status = ok(admin.get("/v1/status").unwrap());
    assert_eq!((&status["open_proposals"], &status["cards"]), (&json!(0), &json!(3 * ROUNDS)));
    jaego.end();
}
