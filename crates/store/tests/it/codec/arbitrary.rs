//! Events and rows of every kind, as small and as large as their types allow, and with lists of a few things.

use jaego_domain::{
    Account, Code, Date, Event, Fact, Keyed, LocationId, LotId, Movement, MovementId, Name, Outside, Place,
    Quantity, Row, Sequence, SiteId, SkuId, Strategy as Picking, TimeZone, Timestamp,
    event::{
        AdjustedLine, Freed, HeldLine, LostLine, MissedLine, MovedLine, PickedLine, ReceivedLine,
        RequestedLine, ShippedLine, Short, Take, UnpickedLine, Watched,
    },
    limits::QUANTITY_MAX,
    row::{
        Answered, End, Filed, Filing, Gate, Head, Hold, HoldLine, HoldStatus, Holder, HolderKind, Line,
        Location, LocationKind, Lot, Pick, Position, Site, Sku, Staged, Totals, Tracking, Transfer,
    },
};
use proptest::{
    collection::vec,
    option,
    prelude::{Just, any},
    prop_oneof,
    sample::select,
    strategy::{BoxedStrategy, Strategy},
};

use crate::codec::{carts, claims, fences, money, orders, picking, reallocations, refunds, trades};

/// Things in a list at the most.
const LIST_MAX: usize = 4;

pub(crate) fn list<T: std::fmt::Debug + 'static>(
    of: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<Vec<T>> {
    vec(of, 0..=LIST_MAX).boxed()
}

pub(crate) fn number() -> BoxedStrategy<u32> {
    prop_oneof![0..300_u32, any::<u32>()].boxed()
}

fn long_number() -> BoxedStrategy<u64> {
    prop_oneof![0..300_u64, any::<u64>(), Just(u64::MAX)].boxed()
}

pub(crate) fn quantity() -> BoxedStrategy<Quantity> {
    prop_oneof![0..300_u64, 0..=QUANTITY_MAX, Just(QUANTITY_MAX)].prop_map(Quantity::stored).boxed()
}

pub(crate) fn some_quantity() -> BoxedStrategy<Quantity> {
    quantity().prop_map(|quantity| quantity.max(Quantity::ONE)).boxed()
}

pub(crate) fn code() -> BoxedStrategy<Code> {
    let text = prop_oneof![
        4 => "[A-Z]-[0-9]{1,8}",
        1 => "[a-zA-Z0-9_.:-]{1,64}",
        2 => "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        1 => "[0-9a-fA-F-]{36}",
    ];
    text.prop_map(|text| Code::new("code", &text).unwrap()).boxed()
}

pub(crate) fn name() -> BoxedStrategy<Name> {
    "\\PC{0,60}".prop_map(|text| Name::new("name", &text).unwrap()).boxed()
}

fn zone() -> BoxedStrategy<TimeZone> {
    select(vec!["UTC", "Asia/Seoul", "America/New_York"])
        .prop_map(|name| TimeZone::new(name).unwrap())
        .boxed()
}

fn day() -> BoxedStrategy<Option<Date>> {
    option::of(any::<i32>().prop_map(Date::stored)).boxed()
}

pub(crate) fn site() -> BoxedStrategy<SiteId> {
    number().prop_map(SiteId).boxed()
}

pub(crate) fn location() -> BoxedStrategy<LocationId> {
    number().prop_map(LocationId).boxed()
}

pub(crate) fn sku() -> BoxedStrategy<SkuId> {
    number().prop_map(SkuId).boxed()
}

pub(crate) fn lot() -> BoxedStrategy<LotId> {
    number().prop_map(LotId).boxed()
}

pub(crate) fn time() -> BoxedStrategy<Timestamp> {
    long_number().prop_map(Timestamp).boxed()
}

pub(crate) fn sequence() -> BoxedStrategy<Sequence> {
    long_number().prop_map(Sequence).boxed()
}

fn outside() -> BoxedStrategy<Outside> {
    select(Outside::ALL.to_vec()).boxed()
}

fn place() -> BoxedStrategy<Place> {
    (location(), sku(), lot()).prop_map(|(location, sku, lot)| Place { location, sku, lot }).boxed()
}

fn original() -> BoxedStrategy<MovementId> {
    (sequence(), number()).prop_map(|(sequence, index)| MovementId { sequence, index }).boxed()
}

fn account() -> BoxedStrategy<Account> {
    prop_oneof![
        place().prop_map(Account::Position),
        outside().prop_map(Account::Outside),
        (code(), number()).prop_map(|(transfer, line)| Account::InTransit { transfer, line }),
    ]
    .boxed()
}

fn movement() -> BoxedStrategy<Movement> {
    (sku(), lot(), some_quantity(), account(), account())
        .prop_map(|(sku, lot, quantity, from, to)| Movement { sku, lot, quantity, from, to })
        .boxed()
}

fn take_for(line: BoxedStrategy<u32>) -> BoxedStrategy<Take> {
    (line, place(), some_quantity())
        .prop_map(|(line, Place { location, sku, lot }, quantity)| Take {
            line,
            sku,
            location,
            lot,
            quantity,
        })
        .boxed()
}

pub(crate) fn take() -> BoxedStrategy<Take> {
    take_for(number())
}

fn short_for(line: BoxedStrategy<u32>) -> BoxedStrategy<Short> {
    (line, quantity(), quantity())
        .prop_map(|(line, requested, available)| Short { line, requested, available })
        .boxed()
}

fn short() -> BoxedStrategy<Short> {
    short_for(number())
}

fn holder() -> BoxedStrategy<Holder> {
    (
        select(vec![HolderKind::Hold, HolderKind::Transfer, HolderKind::Order, HolderKind::Cart]),
        code(),
        number(),
    )
        .prop_map(|(kind, id, line)| Holder { kind, id, line })
        .boxed()
}

fn freed() -> BoxedStrategy<Freed> {
    (holder(), quantity()).prop_map(|(holder, quantity)| Freed { holder, quantity }).boxed()
}

fn masters() -> BoxedStrategy<Fact> {
    prop_oneof![
        (site(), code(), name(), zone(), select(Picking::ALL.to_vec())).prop_map(
            |(id, code, name, time_zone, strategy)| Fact::SiteSet { id, code, name, time_zone, strategy }
        ),
        (location(), site(), code(), name(), number(), select(LocationKind::ALL.to_vec())).prop_map(
            |(id, site, code, zone, pick_order, kind)| Fact::LocationSet {
                id,
                site,
                code,
                zone,
                pick_order,
                kind
            }
        ),
        (sku(), code(), name(), select(Tracking::ALL.to_vec()), list((site(), quantity()))).prop_map(
            |(id, code, name, tracking, safety_stock)| Fact::SkuSet {
                id,
                code,
                name,
                tracking,
                safety_stock
            }
        ),
        (lot(), sku(), code(), day(), day(), any::<bool>()).prop_map(
            |(id, sku, code, received_on, expires_on, blocked)| {
                Fact::LotSet { id, sku, code, received_on, expires_on, blocked }
            }
        ),
    ]
    .boxed()
}

fn ledger() -> BoxedStrategy<Fact> {
    let adjusted = (place(), outside(), any::<bool>(), quantity(), any::<bool>(), list(freed())).prop_map(
        |(place, outside, increase, quantity, counted, freed)| AdjustedLine {
            place,
            outside,
            increase,
            quantity,
            counted,
            freed,
        },
    );
    let moved = (sku(), lot(), location(), location(), quantity(), list(freed())).prop_map(
        |(sku, lot, from, to, quantity, follow)| MovedLine { sku, lot, from, to, quantity, follow },
    );
    prop_oneof![
        (code(), any::<u64>(), name(), list(adjusted)).prop_map(|(id, body, reason, lines)| Fact::Adjusted {
            id,
            body,
            reason,
            lines
        }),
        (code(), any::<u64>(), name(), list(moved)).prop_map(|(id, body, reason, lines)| Fact::Moved {
            id,
            body,
            reason,
            lines
        }),
        (original(), movement()).prop_map(|(original, movement)| Fact::Reversed { original, movement }),
    ]
    .boxed()
}

/// A hold's lines, and takes and shortages of no other lines than these.
fn hold_lines() -> BoxedStrategy<(Vec<HeldLine>, Vec<Take>, Vec<Short>)> {
    let line = (site(), sku(), quantity()).prop_map(|(site, sku, quantity)| HeldLine { site, sku, quantity });
    list(line)
        .prop_flat_map(|lines| {
            let count = u32::try_from(lines.len()).unwrap();
            if count == 0 {
                return Just((lines, Vec::new(), Vec::new())).boxed();
            }
            (Just(lines), list(take_for((0..count).boxed())), list(short_for((0..count).boxed()))).boxed()
        })
        .boxed()
}

fn holds() -> BoxedStrategy<Fact> {
    let single =
        (code(), any::<u64>(), option::of(code()), option::of(time()), site(), take_for(Just(0).boxed()));
    prop_oneof![
        3 => single.prop_map(|(id, body, owner, expires_at, site, take)| Fact::Held {
            id,
            body,
            owner,
            expires_at,
            lines: std::iter::once(HeldLine { site, sku: take.sku, quantity: take.quantity }).collect(),
            takes: std::iter::once(take).collect(),
            short: Vec::new(),
        }),
        3 => (code(), any::<u64>(), option::of(code()), option::of(time()), hold_lines()).prop_map(
            |(id, body, owner, expires_at, (lines, takes, short))| {
                Fact::Held { id, body, owner, expires_at, lines: lines.into(), takes: takes.into(), short }
            }
        ),
        1 => (code(), hold_lines()).prop_map(|(id, (lines, takes, short))| Fact::HoldChanged {
            id,
            lines: lines.into(),
            takes: takes.into(),
            short
        }),
        1 => (code(), option::of(location()), list(take()), list(take())).prop_map(
            |(id, to, takes, released)| Fact::HoldConfirmed { id, to, takes: takes.into(), released: released.into() }
        ),
        1 => (code(), list(take())).prop_map(|(id, takes)| Fact::HoldReleased { id, takes: takes.into() }),
        1 => (code(), time()).prop_map(|(id, expires_at)| Fact::HoldExtended { id, expires_at }),
        1 => list(code()).prop_map(|ids| Fact::HoldsLapsed { ids }),
    ]
    .boxed()
}

fn transfers() -> BoxedStrategy<Fact> {
    let requested = (code(), sku(), option::of(lot()), quantity())
        .prop_map(|(name, sku, lot, quantity)| RequestedLine { name, sku, lot, quantity });
    let picked = (take(), location()).prop_map(|(take, staging)| PickedLine { take, staging });
    let missed =
        (take(), option::of(location())).prop_map(|(take, quarantine)| MissedLine { take, quarantine });
    let unpicked =
        (take(), location(), location()).prop_map(|(take, origin, to)| UnpickedLine { take, origin, to });
    let shipped = || (take(), location()).prop_map(|(take, origin)| ShippedLine { take, origin });
    let received = (number(), place(), any::<bool>(), quantity(), quantity()).prop_map(
        |(line, Place { location, sku, lot }, damaged, expected, excess)| ReceivedLine {
            line,
            sku,
            lot,
            location,
            damaged,
            expected,
            excess,
        },
    );
    let lost = (number(), sku(), lot(), quantity()).prop_map(|(line, sku, lot, quantity)| LostLine {
        line,
        sku,
        lot,
        quantity,
    });
    prop_oneof![
        (code(), any::<u64>(), site(), site(), number(), list(requested)).prop_map(
            |(id, body, from, to, priority, lines)| {
                Fact::TransferRequested { id, body, from, to, priority, lines }
            }
        ),
        (code(), list(take()), list(short())).prop_map(|(id, takes, short)| Fact::TransferAllocated {
            id,
            takes,
            short
        }),
        (code(), list(take())).prop_map(|(id, takes)| Fact::TransferReleased { id, takes }),
        (code(), list(take()), list(shipped())).prop_map(|(id, released, staged)| Fact::TransferCancelled {
            id,
            released,
            staged
        }),
        (code(), list(picked), list(missed), list(take()), list(short())).prop_map(
            |(id, picked, missed, takes, short)| Fact::TransferPicked { id, picked, missed, takes, short }
        ),
        (code(), list(unpicked)).prop_map(|(id, lines)| Fact::TransferUnpicked { id, lines }),
        (code(), code(), any::<u64>(), list(shipped()))
            .prop_map(|(id, shipment, body, lines)| Fact::TransferShipped { id, shipment, body, lines }),
        (code(), list(received)).prop_map(|(id, lines)| Fact::TransferReceived { id, lines }),
        (code(), list(take()), list(lost)).prop_map(|(id, released, lost)| Fact::TransferClosed {
            id,
            released,
            lost
        }),
    ]
    .boxed()
}

fn watch() -> BoxedStrategy<Fact> {
    let item = (site(), sku(), quantity(), quantity(), any::<bool>())
        .prop_map(|(site, sku, available, level, low)| Watched { site, sku, available, level, low });
    prop_oneof![
        list(item).prop_map(|items| Fact::StockWatched { items }),
        sequence().prop_map(|of| Fact::RequestNoted { of }),
    ]
    .boxed()
}

/// Events that follow each other from any sequence and any time, by few authors or by many.
pub(crate) fn events() -> BoxedStrategy<Vec<Event>> {
    let fact = prop_oneof![
        2 => masters(), 2 => ledger(), 4 => holds(), 4 => transfers(), 1 => watch(), 2 => money::some_facts(),
        4 => orders::any_fact(), 1 => fences::any_fact(), 2 => trades::any_fact(), 2 => picking::any_fact(), 4 => carts::any_fact(), 1 => refunds::any_fact(), 1 => reallocations::any_fact()
    ];
    let keyed = option::of((code(), any::<u64>()).prop_map(|(key, body)| Keyed { key, body }));
    let by = prop_oneof![select(vec!["system", "desk"]).prop_map(|by| Code::new("by", by).unwrap()), code()];
    let step = prop_oneof![0..300_u64, 0..=u64::from(u32::MAX)];
    // No sequence or time overflows on the way to the last event.
    let first = (1..u64::MAX - 1_000, 0..u64::MAX - 1_000 * u64::from(u32::MAX));
    (first, vec((step, by, keyed, fact), 0..40))
        .prop_map(|((first, start), parts)| {
            let mut at = start;
            let event = |(sequence, (step, by, keyed, fact))| {
                at += step;
                Event { sequence: Sequence(sequence), at: Timestamp(at), by, keyed, fact }
            };
            (first..).zip(parts).map(event).collect()
        })
        .boxed()
}

fn master_rows() -> BoxedStrategy<Row> {
    let site_row = (code(), name(), zone(), select(Picking::ALL.to_vec()), sequence())
        .prop_map(|(code, name, time_zone, strategy, set)| Site { code, name, time_zone, strategy, set });
    let location_row =
        (site(), code(), name(), number(), select(LocationKind::ALL.to_vec()), sequence()).prop_map(
            |(site, code, zone, pick_order, kind, set)| Location { site, code, zone, pick_order, kind, set },
        );
    let sku_row = (
        code(),
        name(),
        select(Tracking::ALL.to_vec()),
        list((site(), quantity())),
        any::<bool>(),
        sequence(),
    )
        .prop_map(|(code, name, tracking, safety_stock, stocked, set)| Sku {
            code,
            name,
            tracking,
            safety_stock,
            stocked,
            set,
        });
    let lot_row = (sku(), code(), day(), day(), any::<bool>(), quantity(), sequence()).prop_map(
        |(sku, code, received_on, expires_on, blocked, inside, set)| Lot {
            sku,
            code,
            received_on,
            expires_on,
            blocked,
            inside,
            set,
        },
    );
    let head = (sequence(), time(), number(), number(), number(), number()).prop_map(
        |(sequence, at, sites, locations, skus, lots)| Head { sequence, at, sites, locations, skus, lots },
    );
    prop_oneof![
        head.prop_map(Row::Head),
        (site(), option::of(site_row.prop_map(Box::new))).prop_map(|(id, row)| Row::Site(id, row)),
        (location(), option::of(location_row.prop_map(Box::new)))
            .prop_map(|(id, row)| Row::Location(id, row)),
        (sku(), option::of(sku_row.prop_map(Box::new))).prop_map(|(id, row)| Row::Sku(id, row)),
        (lot(), option::of(lot_row.prop_map(Box::new))).prop_map(|(id, row)| Row::Lot(id, row)),
    ]
    .boxed()
}

fn stock_rows() -> BoxedStrategy<Row> {
    let gate = (any::<bool>(), quantity(), any::<bool>()).prop_map(|(stocked, safety_level, low)| Gate {
        stocked,
        safety_level,
        low,
    });
    let position = (quantity(), quantity(), quantity(), time())
        .prop_map(|(on_hand, held, missing, since)| Position { on_hand, held, missing, since });
    prop_oneof![
        (site(), sku(), option::of(gate)).prop_map(|(site, sku, row)| Row::Gate(site, sku, row)),
        (place(), option::of(position)).prop_map(|(place, row)| Row::Position(place, row)),
        (sku(), outside(), any::<i64>())
            .prop_map(|(sku, outside, balance)| Row::Outside(sku, outside, balance)),
    ]
    .boxed()
}

pub(crate) fn pick() -> BoxedStrategy<Pick> {
    (location(), lot(), some_quantity())
        .prop_map(|(location, lot, quantity)| Pick { location, lot, quantity })
        .boxed()
}

fn totals() -> BoxedStrategy<Totals> {
    (quantity(), quantity(), quantity(), quantity(), quantity())
        .prop_map(|(requested, allocated, picked, shipped, rest)| Totals {
            requested,
            allocated,
            picked,
            shipped,
            in_transit: rest,
            received: requested,
            damaged: allocated,
            lost: picked,
            closed_short: shipped,
        })
        .boxed()
}

fn line() -> BoxedStrategy<Line> {
    let staged = (location(), lot(), location(), some_quantity())
        .prop_map(|(staging, lot, origin, quantity)| Staged { staging, lot, origin, quantity });
    (code(), sku(), option::of(lot()), totals(), list(pick()), list(staged), list((lot(), quantity())))
        .prop_map(|(name, sku, lot, totals, picks, staged, transit)| Line {
            name,
            sku,
            lot,
            totals,
            picks,
            staged,
            transit,
        })
        .boxed()
}

fn document_rows() -> BoxedStrategy<Row> {
    let hold_line = (site(), sku(), quantity(), list(pick()))
        .prop_map(|(site, sku, quantity, picks)| HoldLine { site, sku, quantity, picks: picks.into() });
    let hold = (
        option::of(code()),
        any::<u64>(),
        sequence(),
        option::of(time()),
        select(HoldStatus::ALL.to_vec()),
        any::<bool>(),
        list(hold_line),
    )
        .prop_map(|(owner, body, placed, expires_at, status, confirmed, lines)| Hold {
            owner,
            body,
            placed,
            expires_at,
            status,
            confirmed,
            lines: lines.into(),
        });
    let end = option::of((select(vec![End::Cancelled, End::Closed]), sequence()));
    let transfer =
        (site(), site(), number(), any::<u64>(), sequence(), time(), sequence(), end, number(), totals())
            .prop_map(
                |(from, to, priority, body, requested, requested_at, allocated, end, lines, totals)| {
                    Transfer {
                        from,
                        to,
                        priority,
                        body,
                        requested,
                        requested_at,
                        allocated,
                        end,
                        lines,
                        totals,
                    }
                },
            );
    let filing = prop_oneof![
        code().prop_map(Filing::Adjustment),
        code().prop_map(Filing::Move),
        (code(), code()).prop_map(|(transfer, shipment)| Filing::Shipment { transfer, shipment }),
        original().prop_map(Filing::Reversal),
    ];
    let filed = (any::<u64>(), sequence()).prop_map(|(body, sequence)| Filed { body, sequence });
    let answered = (any::<u64>(), sequence(), sequence(), time())
        .prop_map(|(body, sequence, noted, at)| Answered { body, sequence, noted, at });
    prop_oneof![
        (code(), option::of(hold)).prop_map(|(id, row)| Row::Hold(id, row)),
        (code(), option::of(transfer.prop_map(Box::new))).prop_map(|(id, row)| Row::Transfer(id, row)),
        (code(), option::of(list(line()))).prop_map(|(id, rows)| Row::Lines(id, rows)),
        (code(), number(), line().prop_map(Box::new)).prop_map(|(id, line, row)| Row::Line(id, line, row)),
        (filing, option::of(filed)).prop_map(|(filing, row)| Row::Filed(filing, row)),
        (code(), option::of(answered)).prop_map(|(key, row)| Row::Answered(key, row)),
    ]
    .boxed()
}

/// Rows in any order.
pub(crate) fn rows() -> BoxedStrategy<Vec<Row>> {
    let row = prop_oneof![
        master_rows(),
        stock_rows(),
        document_rows(),
        money::some_rows(),
        orders::any_row(),
        fences::any_row(),
        trades::any_row(),
        picking::any_row(),
        claims::any_row(),
        carts::any_row()
    ];
    vec(row, 0..40).boxed()
}
