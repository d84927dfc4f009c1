//! The scenarios, played on the bare decisions and on the reference store; and the proof that they leave no
//! command and no refusal out.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use jaego_domain::{
    Amount, Code, Command, Fact, Memory, Name, Outside, Quantity, Refusal, Request, Sequence, Strategy,
    TimeZone, Timestamp,
    command::{
        Adjust, AdjustLine, AllocateTransfer, AnswerProposal, Change, Fenced, HolderName, Propose,
        RaiseFence, Release, RequestTransfer, SetCard, SetLocation, SetPriceTiers, SetSite, SetSku,
        TransferLine,
    },
    limits::{
        FENCES_MAX, LINES_MAX, PARTS_MAX, PRICE_TIERS_MAX, PROPOSALS_PER_CARD_MAX, RELEASED_HOLDERS_MAX,
    },
    row::{HolderKind, LocationKind, Tracking},
    turn,
};
use jaego_store::{
    Reference, StatementFilter, Store,
    conformance::{self, BareSubject, FILES, START, StoreSubject, Subject},
};

#[test]
fn the_bare_decisions_keep_the_law() {
    let tally = conformance::run_all(|| Box::new(BareSubject::default())).unwrap();
    println!("{} scenarios, {} rows", tally.scenarios, tally.rows);
}

#[test]
fn the_reference_keeps_the_law() {
    conformance::run_all(reference).unwrap();
}

fn reference() -> Box<dyn Subject> {
    let clock = Arc::new(AtomicU64::new(0));
    let hand = Arc::clone(&clock);
    let store = Reference::new(move || Timestamp(clock.load(Ordering::SeqCst)));
    Box::new(StoreSubject::new(Arc::new(store), move |now| hand.store(now.0, Ordering::SeqCst)))
}

/// Refusals that no row shows, and why.
const NOT_IN_ROWS: [(&str, &str); 5] = [
    (
        "outcome_archived",
        "only a store whose old segments were taken away refuses so; an end-to-end test does that",
    ),
    (
        "history_archived",
        "only a store whose old segments were taken away refuses so; the engine's tests do that",
    ),
    ("too_many_lines_touched", "only a store that others wait for refuses so; the engine's tests do that"),
    ("too_many_parts", "150,001 parts are no reading; it is asked below"),
    ("too_many_fences", "neither are 1,000,001 resources"),
];

/// Limits whose border no row shows, and why.
const LIMITS_NOT_IN_ROWS: [(&str, &str); 23] = [
    ("LINES_MAX", "50,001 lines are no reading; it is asked below"),
    ("PARTS_MAX", "neither are 150,001 parts"),
    ("RELEASED_HOLDERS_MAX", "nor 1,001 names"),
    ("FENCES_MAX", "nor 1,000,001 resources"),
    ("KEYS_MAX", "it takes a gigabyte of keys; the oldest are forgotten, and nothing is refused"),
    ("KEYS_FORGOTTEN_MAX", "how many an event forgets is answered to nobody"),
    ("SWEEP_MAX", "a sweep that is full goes on by itself; the tests of orders fill one"),
    ("SWEEP_PICKS_MAX", "the same; the tests of the reference fill one"),
    ("FILL_LINES_MAX", "an event that fills orders goes on in the next; the tests of orders fill one"),
    ("FILL_PICKS_MAX", "the same, by its picks"),
    ("FILL_POSITIONS_MAX", "the same, by the places looked at"),
    ("PASSED_BY_MAX", "a claim behind it looks by chance and refuses nothing; the tests of orders do that"),
    ("PICKS_LOOKED_AT_MAX", "the same"),
    ("NEIGHBOURS", "how many a draw is made among is no limit"),
    ("SEEN_PER_LINE", "what counts as a line is no limit"),
    ("SEEN_MAX", "67,108,865 picks are no reading; the engine's tests of large batches look at them"),
    ("GAPS_LOOKED_AT_MAX", "lines behind it stay short; the tests of picks ask for more"),
    ("PAGE_MAX", "a longer page is a shorter one and refuses nothing"),
    ("SCAN_MAX", "a page that looked at so many rows ends early, and the next goes on"),
    ("EXPLAINED_LINES_MAX", "what an answer shows at the most refuses nothing"),
    ("EXPLAINED_POSITIONS_MAX", "the same"),
    ("TRANSIT_SHOWN_MAX", "the same"),
    ("AUTHORIZATIONS_SHOWN_MAX", "the same: the list of authorizations has pages"),
];

#[test]
fn every_command_and_every_refusal_has_a_row() {
    let mut verbs = BTreeSet::new();
    let mut answers = BTreeSet::new();
    for (file, text) in FILES {
        for scenario in conformance::parse(file, text).unwrap() {
            for row in scenario.rows {
                if let Some(expected) = row.expected {
                    answers.extend(expected.words);
                }
                // A look has the name of what it looks at; only `hold` is both.
                if row.verb != "hold" || row.words.len() > 1 {
                    verbs.insert(row.verb);
                }
            }
        }
    }
    let missing: Vec<_> = COMMANDS.iter().filter(|name| !verbs.contains(**name)).collect();
    assert!(missing.is_empty(), "no row has the commands {missing:?}");
    for code in Refusal::CODES {
        let excused = NOT_IN_ROWS.iter().any(|(name, _)| name == code);
        assert_ne!(answers.contains(*code), excused, "{code}: in the rows, or excused from them");
    }
}

/// A caller's own words are told as they are; the rows of the scenarios say `reason=` for some.
#[test]
fn whatever_moved_stock_or_money_says_why() {
    let stores = Mutex::new(Vec::new());
    conformance::run_all(|| {
        let clock = Arc::new(AtomicU64::new(0));
        let hand = Arc::clone(&clock);
        let store = Arc::new(Reference::new(move || Timestamp(clock.load(Ordering::SeqCst))));
        stores.lock().unwrap().push(Arc::clone(&store));
        Box::new(StoreSubject::new(store, move |now| hand.store(now.0, Ordering::SeqCst)))
    })
    .unwrap();
    let mut said = BTreeSet::new();
    let mut say = |kind: Option<&str>, reason: &Name| {
        assert!(!reason.as_str().trim().is_empty(), "{kind:?}");
        let reason = reason.as_str().split(" of ").next().unwrap();
        said.insert(format!("{}: {reason}", kind.unwrap_or("nothing")));
    };
    for store in stores.into_inner().unwrap() {
        let mut owners = BTreeSet::new();
        let mut after = Sequence(0);
        loop {
            let events = store.events(after, 1_000).wait().unwrap().events;
            let Some(last) = events.last() else { break };
            after = last.outcome.sequence;
            for event in events {
                owners.extend(event.money.map(|money| money.owner));
                for movement in event.movements {
                    say(movement.document.as_ref().map(|(kind, _)| *kind), &movement.reason);
                }
            }
        }
        for owner in owners {
            let filter = StatementFilter {
                owner,
                currency: None,
                since: None,
                until: None,
                after: None,
                limit: 1_000,
            };
            for line in store.statement(filter).wait().unwrap().value.unwrap().lines {
                say(Some(line.document.map_or("wallet", |(kind, _)| kind)), &line.reason);
            }
        }
    }
    let said: Vec<_> = said.iter().map(String::as_str).collect();
    assert_eq!(said, REASONS);
}

/// What the scenarios say of why, for each kind of document.
const REASONS: [&str; 23] = [
    "adjustment: adjusted",
    "adjustment: counted",
    "adjustment: delivery",
    "authorization: captured",
    "hold: confirmed",
    "move: moved",
    "nothing: reversal",
    "order: broken",
    "order: cancelled",
    "order: checked out",
    "order: completed",
    "order: refunded",
    "transfer: closed",
    "transfer: damaged",
    "transfer: picked",
    "transfer: received",
    "transfer: shipped",
    "transfer: unpicked",
    "wallet: card",
    "wallet: charged",
    "wallet: lunch",
    "wallet: paid",
    "wallet: refunded",
];

/// A comment of nothing but a limit's name stands before the row that is past it.
#[test]
fn every_limit_has_a_row_that_is_past_it() {
    let limits: Vec<_> = include_str!("../../../domain/src/limits.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("pub const ")?.split(':').next())
        .collect();
    assert!(limits.len() > 30, "the limits are not read: {limits:?}");
    let mut shown = BTreeSet::new();
    for (_, text) in FILES {
        let lines: Vec<_> = text.lines().collect();
        for pair in lines.windows(2) {
            if let Some(name) = pair[0].strip_prefix("# ")
                && limits.contains(&name)
            {
                assert!(pair[1].contains("->"), "{name} comes before a row with an answer");
                shown.insert(name);
            }
        }
    }
    for limit in limits {
        let excused = LIMITS_NOT_IN_ROWS.iter().any(|(name, _)| *name == limit);
        assert_ne!(shown.contains(limit), excused, "{limit}: before a row, or excused");
    }
}

/// The verb of every command in the rows, in the order of the enum: mostly `Command::name`.
const COMMANDS: [&str; 53] = [
    "set_site",
    "set_location",
    "set_sku",
    "set_lot",
    "adjust",
    "move",
    "reverse",
    "hold",
    "confirm_hold",
    "release_hold",
    "extend_hold",
    "change_hold",
    "request_transfer",
    "allocate_transfer",
    "release_transfer",
    "cancel_transfer",
    "pick_transfer",
    "unpick_transfer",
    "ship_transfer",
    "receive_transfer",
    "close_transfer",
    "charge",
    "pay",
    "refund",
    "set_wallet_limit",
    "authorize",
    "capture",
    "void",
    "set_order_allocation",
    "place_order",
    "allocate_order",
    "cancel_order",
    "claim_order",
    "claim_orders",
    "extend_claim",
    "unclaim_order",
    "complete_order",
    "raise_fence",
    "set_price_tiers",
    "set_card",
    "propose",
    "accept_proposal",
    "reject_proposal",
    "withdraw_proposal",
    "claim_transfer",
    "claim_picks",
    "extend_transfer_claim",
    "unclaim_transfer",
    "set_cart",
    "set_cart_item",
    "discard_cart",
    "checkout",
    "refund_order",
];

#[test]
fn fences_of_at_most_so_many_resources_are_kept() {
    let by = Code::new("by", "tester").unwrap();
    let mut memory = Memory::new();
    let mut raise = |number: usize| {
        let fenced = Fenced::new(Code::new("resource", &format!("r{number}")).unwrap(), 1).unwrap();
        let request = Request::new(Command::RaiseFence(RaiseFence { fenced }), None, by.clone()).unwrap();
        turn::submit(&mut memory, &request, START, &mut Vec::new()).map(|_| ())
    };
    for number in 0..FENCES_MAX {
        assert_eq!(raise(number), Ok(()));
    }
    let resource = Code::new("resource", &format!("r{FENCES_MAX}")).unwrap();
    let refused = Refusal::TooManyFences { resource: resource.clone(), max: FENCES_MAX };
    assert_eq!(raise(FENCES_MAX), Err(refused.clone()));
    assert_eq!(raise(0), Ok(()), "a repeat is none more");
    // A command that comes with one more is refused as well, and one with a known one is not.
    let mut set = |resource: Code| {
        let site = SetSite {
            site: by.clone(),
            name: Name::default(),
            time_zone: TimeZone::new("UTC").unwrap(),
            strategy: Strategy::Fefo,
        };
        let request = Request::new(Command::SetSite(site), None, by.clone()).unwrap();
        let fenced = Fenced::new(resource, 2).unwrap();
        turn::submit(&mut memory, &request.fenced(fenced), START, &mut Vec::new()).map(|_| ())
    };
    assert_eq!(set(resource), Err(refused));
    assert_eq!(set(Code::new("resource", "r7").unwrap()), Ok(()));
}

#[test]
fn a_card_has_at_most_so_many_open_proposals_and_accepting_one_ends_the_others() {
    let code = |text: &str| Code::new("code", text).unwrap();
    let price = Amount::new("price", 5).unwrap();
    let (mut tables, mut events) = (Memory::new(), Vec::new());
    let mut submit = |command| {
        let request = Request::new(command, None, code("tester")).unwrap();
        turn::submit(&mut tables, &request, START, &mut events).map(|_| ())
    };
    let card = |card: &str, owner: &str| {
        Command::SetCard(SetCard { card: code(card), owner: code(owner), price, from_owner: None })
    };
    let propose = |number: usize| {
        Command::Propose(Propose {
            id: code(&format!("P{number}")),
            owner: code("kim"),
            from_card: code(&format!("C{number}")),
            to_card: code("crown"),
        })
    };
    submit(card("crown", "lee")).unwrap();
    for number in 0..=PROPOSALS_PER_CARD_MAX {
        submit(card(&format!("C{number}"), "kim")).unwrap();
    }
    for number in 0..PROPOSALS_PER_CARD_MAX {
        submit(propose(number)).unwrap();
    }
    let (max, proposals) = (PROPOSALS_PER_CARD_MAX, PROPOSALS_PER_CARD_MAX);
    let refused = Refusal::TooManyProposals { card: code("crown"), proposals, max };
    assert_eq!(submit(propose(max)), Err(refused));
    submit(Command::WithdrawProposal(AnswerProposal { id: code("P0"), owner: code("kim") })).unwrap();
    assert_eq!(submit(propose(max)), Ok(()));
    submit(Command::AcceptProposal(AnswerProposal { id: code("P7"), owner: code("lee") })).unwrap();
    assert_eq!(tables.counts().open_proposals, 0);
    let Some(Fact::ProposalAccepted { closed, .. }) = events.last().map(|event| &event.fact) else {
        panic!("the last event is the swap");
    };
    assert_eq!(closed.len(), max - 1);
}

#[test]
fn tiers_begin_at_zero_ascend_and_are_so_many_at_most() {
    let tiers = |from: Vec<u64>| {
        let from = from.into_iter().map(|units| Amount::new("from", units).unwrap()).collect();
        let by = Code::new("by", "tester").unwrap();
        Request::new(Command::SetPriceTiers(SetPriceTiers { from }), None, by).map(|_| ())
    };
    let most = PRICE_TIERS_MAX as u64;
    assert_eq!(tiers(vec![0]), Ok(()));
    assert_eq!(tiers((0..most).collect()), Ok(()));
    for bad in [vec![], vec![1], vec![0, 0], vec![0, 2, 1], (0..=most).collect()] {
        let refused = tiers(bad.clone());
        assert!(matches!(&refused, Err(Refusal::InvalidValue { field, .. }) if field == "from"), "{bad:?}");
    }
}

#[test]
fn an_adjustment_names_somebody_and_at_most_so_many() {
    let code = |text: &str| Code::new("code", text).unwrap();
    let adjust = |names: usize| {
        let line = AdjustLine {
            site: code("ICN"),
            location: code("A-01"),
            sku: code("mug"),
            lot: None,
            change: Change::Counted(Quantity::ZERO),
        };
        let name = |number| HolderName { kind: HolderKind::Order, id: code(&format!("O{number}")) };
        let release = Some(Release::Of((0..names).map(name).collect()));
        let adjust = Adjust { id: code("J1"), reason: Name::default(), lines: vec![line], release };
        Request::new(Command::Adjust(adjust), None, code("tester")).map(|_| ())
    };
    assert_eq!(adjust(1), Ok(()));
    assert_eq!(adjust(RELEASED_HOLDERS_MAX), Ok(()));
    assert_eq!(adjust(0), Err(Refusal::invalid("release", "names nobody")));
    let refused = Refusal::invalid("release", "names more than 1000 holders");
    assert_eq!(adjust(RELEASED_HOLDERS_MAX + 1), Err(refused));
}

#[test]
fn a_document_has_at_most_so_many_lines() {
    let code = |text| Code::new("code", text).unwrap();
    let adjust = |lines| {
        let line = AdjustLine {
            site: code("ICN"),
            location: code("A-01"),
            sku: code("mug"),
            lot: None,
            change: Change::Add(Quantity::ONE, Outside::Supplier),
        };
        let adjust =
            Adjust { id: code("J1"), reason: Name::default(), lines: vec![line; lines], release: None };
        Request::new(Command::Adjust(adjust), None, code("tester")).map(|_| ())
    };
    assert_eq!(adjust(LINES_MAX), Ok(()));
    assert_eq!(adjust(LINES_MAX + 1), Err(Refusal::TooManyLines { lines: LINES_MAX + 1, max: LINES_MAX }));
    assert!(matches!(adjust(0), Err(Refusal::InvalidValue { .. })));
}

#[test]
fn a_decision_touches_at_most_so_many_picks() {
    let code = |text: &str| Code::new("code", text).unwrap();
    let mut tables = Memory::new();
    let mut submit = |command| {
        let request = Request::new(command, None, code("tester")).unwrap();
        turn::submit(&mut tables, &request, START, &mut Vec::new()).map(|_| ())
    };
    // 500 SKUs lie one by one in 301 bins. 100 lines of each ask for three: three picks a line.
    let (skus, bins, lines_a_sku) = (500, 301, LINES_MAX / 500);
    for site in ["ICN", "PUS"] {
        let time_zone = TimeZone::new("UTC").unwrap();
        let (site, name) = (code(site), Name::default());
        submit(Command::SetSite(SetSite { site, name, time_zone, strategy: Strategy::PickOrder })).unwrap();
    }
    let bin = |bin: usize| code(&format!("B-{bin}"));
    let sku = |sku: usize| code(&format!("sku-{sku}"));
    for pick_order in 0..bins {
        submit(Command::SetLocation(SetLocation {
            site: code("ICN"),
            location: bin(pick_order),
            zone: Name::default(),
            pick_order: u32::try_from(pick_order).unwrap(),
            kind: LocationKind::Storage,
        }))
        .unwrap();
    }
    for number in 0..skus {
        submit(Command::SetSku(SetSku {
            sku: sku(number),
            name: Name::default(),
            tracking: Tracking::None,
            safety_stock: Vec::new(),
            prices: Vec::new(),
        }))
        .unwrap();
        let line = |at| AdjustLine {
            site: code("ICN"),
            location: bin(at),
            sku: sku(number),
            lot: None,
            change: Change::Add(Quantity::ONE, Outside::Supplier),
        };
        let lines = (0..bins).map(line).collect();
        let (id, reason) = (sku(number), Name::default());
        submit(Command::Adjust(Adjust { id, reason, lines, release: None })).unwrap();
    }
    let request = |id: &str, first: u64| {
        let line = |number: usize| TransferLine {
            line: code(&number.to_string()),
            sku: sku(number / lines_a_sku),
            quantity: Quantity::new("quantity", if number == 0 { first } else { 3 }).unwrap(),
            lot: None,
        };
        let lines = (0..LINES_MAX).map(line).collect();
        let (id, from, to) = (code(id), code("ICN"), code("PUS"));
        Command::RequestTransfer(RequestTransfer { id, from, to, priority: 0, lines })
    };
    let allocate = |id: &str| {
        let id = code(id);
        let (strategy, lines) = (None, None);
        Command::AllocateTransfer(AllocateTransfer { id, strategy, partial: true, dry_run: false, lines })
    };
    submit(request("T1", 4)).unwrap();
    let refused = Refusal::TooManyParts { parts: PARTS_MAX + 1, max: PARTS_MAX };
    assert_eq!(submit(allocate("T1")), Err(refused));
    submit(request("T2", 3)).unwrap();
    assert_eq!(submit(allocate("T2")), Ok(()));
}

#[test]
fn an_unexpected_answer_names_file_line_and_both_answers() {
    let facts =
        "set_site ICN\nset_location ICN A-01 storage\nset_sku mug\nscenario s\nstock ICN A-01 mug 10\n";
    for (row, wrong) in [
        ("hold H1 ICN mug 4 -> held picks=A-01:5", "picks is A-01:4"),
        ("hold H1 ICN mug 11 -> held", "the answer is insufficient_stock"),
        ("hold H1 ICN mug 11", "the answer is insufficient_stock"),
        ("hold H1 ICN mug 11 partial", "the row does not tell short"),
        ("hold H1 ICN mug 4 -> repeat", "the answer is accepted"),
        ("position ICN A-01 mug -> on_hand 9", "on_hand is 10"),
        ("position ICN A-01 mug -> on_hand", "on_hand has no value"),
        ("position ICN A-01 mug -> colour red", "colour is not told"),
        ("hold H1 ICN mug 4 5", "nobody reads: 5"),
        ("hold H1 ICN mug", "a word is missing"),
        ("juggle H1", "there is no verb juggle"),
        ("end", "there is no batch to end"),
    ] {
        let text = format!("{facts}{row}");
        let failures = conformance::run_text("x.rows", &text, reference).unwrap_err().to_string();
        assert!(failures.contains("x.rows:6: s") && failures.contains(wrong), "{row}: {failures}");
    }
    let open = format!("{facts}atomic\nhold H1 ICN mug 1");
    let failures = conformance::run_text("x.rows", &open, reference).unwrap_err().to_string();
    assert!(failures.contains("a batch has no end"), "{failures}");
}
