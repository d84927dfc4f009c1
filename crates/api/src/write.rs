//! Writes the answers of a batch that was done, straight from the outcome to the text.
//!
//! [`crate::batch::BatchItem`] says what this text is; a test holds the two against each other. Nearly all answers of
//! a large batch are of this kind, and making an item of each would copy every code once more.

use jaego_domain::{Code, Outcome, PickView};

use crate::{
    outcome::claims,
    stock::{Holding, Shortage},
    time::Time,
    trade::ClosedProposal,
};

/// Writes the item of a command that was done. `id` is a code or empty, as are all texts in an outcome: letters, digits
/// and signs that JSON has no escapes for.
pub(crate) fn done(json: &mut Vec<u8>, index: usize, id: &str, outcome: &Outcome, repeat: bool) {
    json.extend_from_slice(br#"{"index":"#);
    number(json, index as u64);
    json.extend_from_slice(br#","id":""#);
    json.extend_from_slice(id.as_bytes());
    json.extend_from_slice(br#"","status":"done","outcome":{"id":"#);
    code_or_null(json, outcome.id.as_ref());
    json.extend_from_slice(br#","sequence":"#);
    number(json, outcome.sequence.0);
    json.extend_from_slice(br#","at":"#);
    time(json, outcome.at.into());
    json.extend_from_slice(if repeat {
        br#","repeat":true,"picks":["#
    } else {
        br#","repeat":false,"picks":["#
    });
    for (index, pick) in outcome.picks.iter().enumerate() {
        if index > 0 {
            json.push(b',');
        }
        write_pick(json, pick);
    }
    json.push(b']');
    if !outcome.shortages.is_empty() {
        json.extend_from_slice(br#","shortages":"#);
        list(json, outcome.shortages.iter().map(Shortage::from));
    }
    if let Some(at) = outcome.expires_at {
        json.extend_from_slice(br#","expires_at":"#);
        time(json, at.into());
    }
    if !outcome.holders.is_empty() {
        json.extend_from_slice(br#","holders":"#);
        list(json, outcome.holders.iter().map(Holding::from));
    }
    if let Some(balance) = outcome.balance {
        json.extend_from_slice(br#","balance":"#);
        serde_json::to_writer(&mut *json, &balance).expect("a number is written");
    }
    if !outcome.claims.is_empty() || !outcome.pick_claims.is_empty() {
        json.extend_from_slice(br#","claims":"#);
        list(json, claims(outcome));
    }
    if let Some(kind) = outcome.proposal_kind() {
        json.extend_from_slice(br#","proposal_kind":""#);
        json.extend_from_slice(kind.name().as_bytes());
        json.push(b'"');
    }
    if !outcome.closed().is_empty() {
        json.extend_from_slice(br#","closed":"#);
        list(json, outcome.closed().iter().map(ClosedProposal::from));
    }
    json.extend_from_slice(b"}}");
}

fn write_pick(json: &mut Vec<u8>, pick: &PickView) {
    json.extend_from_slice(br#"{"line":"#);
    code(json, &pick.line);
    json.extend_from_slice(br#","site":"#);
    code(json, &pick.site);
    json.extend_from_slice(br#","location":"#);
    code(json, &pick.location);
    json.extend_from_slice(br#","sku":"#);
    code(json, &pick.sku);
    json.extend_from_slice(br#","lot":"#);
    code_or_null(json, pick.lot.as_ref());
    json.extend_from_slice(br#","quantity":"#);
    number(json, pick.quantity.get());
    json.push(b'}');
}

fn list<T: serde::Serialize>(json: &mut Vec<u8>, items: impl Iterator<Item = T>) {
    let items: Vec<T> = items.collect();
    serde_json::to_writer(json, &items).expect("an answer has text for keys");
}

fn code(json: &mut Vec<u8>, code: &Code) {
    json.push(b'"');
    json.extend_from_slice(code.as_str().as_bytes());
    json.push(b'"');
}

fn code_or_null(json: &mut Vec<u8>, text: Option<&Code>) {
    match text {
        Some(text) => code(json, text),
        None => json.extend_from_slice(b"null"),
    }
}

fn time(json: &mut Vec<u8>, time: Time) {
    json.push(b'"');
    json.extend_from_slice(&time.text());
    json.push(b'"');
}

fn number(json: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    let mut rest = number;
    loop {
        start -= 1;
        digits[start] = b'0' + u8::try_from(rest % 10).expect("a digit fits a byte");
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    json.extend_from_slice(&digits[start..]);
}

#[cfg(test)]
mod tests {
    use jaego_domain::{
        Name, PickClaimView, PickWorkId, Quantity, Sequence, Timestamp, outcome::ClaimView, row::HolderKind,
    };

    use super::*;
    use crate::{
        batch::{BatchItem, BatchStatus},
        outcome,
    };

    fn text(text: &str) -> Code {
        Code::new("text", text).expect("a code")
    }

    #[test]
    fn an_item_is_written_as_its_type_says() {
        let pick = |line: &str, lot: Option<&str>, quantity| PickView {
            line: text(line),
            site: text("ICN"),
            location: text("A-01-02-03"),
            sku: text("a.sku:with-a_code-of-more-than-24-bytes"),
            lot: lot.map(text),
            quantity: Quantity::new("quantity", quantity).expect("a quantity"),
        };
        let shortage = jaego_domain::Shortage {
            line: text("2"),
            site: text("ICN"),
            sku: text("mug"),
            requested: Quantity::ONE,
            available: Quantity::ZERO,
        };
        let holding = jaego_domain::refusal::Holding {
            kind: HolderKind::Transfer,
            id: text("T1"),
            line: text("1"),
            quantity: Quantity::ONE,
        };
        let plain = Outcome {
            sequence: Sequence(0),
            at: Timestamp(1_772_377_199_999),
            id: None,
            picks: Default::default(),
            shortages: Vec::new(),
            expires_at: None,
            holders: Vec::new(),
            balance: None,
            claims: Vec::new(),
            trade: None,
            pick_claims: Box::default(),
        };
        let picks = PickClaimView {
            work: PickWorkId {
                transfer: text("T1"), zone: Name::new("zone", "상온 \"1\"").expect("a name")
            },
            fence: Sequence(8),
            expires_at: Timestamp(0),
        };
        let claim = ClaimView { order: text("O1"), fence: Sequence(7), expires_at: Timestamp(0) };
        let full = Outcome {
            sequence: Sequence(u64::MAX),
            id: Some(text("H1")),
            picks: [pick("1", None, 0), pick("2", Some("L1"), 9_007_199_254_740_991)].into_iter().collect(),
            shortages: vec![shortage.clone(), shortage],
            expires_at: Some(Timestamp(0)),
            holders: vec![holding.clone(), holding],
            balance: Some(-5),
            claims: vec![claim.clone(), claim],
            trade: Some(Box::new(jaego_domain::outcome::TradeView {
                kind: Some(jaego_domain::row::ProposalKind::Poke),
                closed: jaego_domain::row::CloseReason::ALL
                    .map(|reason| jaego_domain::event::ClosedProposal { proposal: text("P1"), reason })
                    .to_vec(),
            })),
            pick_claims: [picks.clone(), picks].into(),
            ..plain
        };
        for (index, id, one, repeat) in
            [(0, "", &plain, true), (9_999, "H1", &full, false), (10, "H1", &full, true)]
        {
            let item = BatchItem {
                index,
                id: id.into(),
                status: BatchStatus::Done.into(),
                outcome: Some(outcome::Outcome::new(one, repeat)),
                problem: None::<crate::Problem>,
            };
            let mut json = Vec::new();
            done(&mut json, index, id, one, repeat);
            let expected = serde_json::to_string(&item).expect("an item is text");
            assert_eq!(String::from_utf8(json).expect("ASCII"), expected);
        }
    }
}
