//! Every limit of the decisions, side by side. Past a limit a request is refused at once and changes nothing.

/// Bytes in a code: the identifier of a site, location, SKU, lot, document, line or request.
pub const CODE_BYTES_MAX: usize = 64;
/// Bytes in a name or a reason, in any script.
pub const NAME_BYTES_MAX: usize = 256;
/// Lines in one document: a hold, a transfer, an order, an adjustment, a bin move.
pub const LINES_MAX: usize = 50_000;
/// Parts of one decision: its lines, the picks found for them, the holds that it cuts or moves. It bounds an
/// event's size, where a line is spread over thousands of bins.
pub const PARTS_MAX: usize = 150_000;
/// The largest quantity, in the SKU's smallest unit: the largest whole number that every JSON reader agrees on.
pub const QUANTITY_MAX: u64 = 9_007_199_254_740_991;
/// The largest amount of money, in a currency's minor unit; no balance is further from zero.
pub const AMOUNT_MAX: u64 = QUANTITY_MAX;
/// SKUs in one cart. Each change copies its cart, and many a cart is changed at once.
pub const CART_LINES_MAX: usize = 1_000;
/// Currencies in which one SKU has a price.
pub const PRICES_MAX: usize = WALLET_CURRENCIES_MAX;
/// Currencies in one wallet.
pub const WALLET_CURRENCIES_MAX: usize = 64;
/// Open authorizations that one wallet shows.
pub const AUTHORIZATIONS_SHOWN_MAX: usize = 100;
/// Units of one serial number that can exist.
pub const SERIAL_QUANTITY_MAX: u64 = 1;
/// Holds, claims and carts that one sweep lapses at the most; the rest wait for the next, and logical time waits with them.
pub const SWEEP_MAX: usize = 4_096;
/// Picks of the holds that one sweep lapses, and lines and picks of the carts: after the one that reaches it, the rest
/// wait.
pub const SWEEP_PICKS_MAX: usize = 65_536;
/// Orders that one request may claim.
pub const CLAIMS_MAX: usize = 1_000;
/// Orders or pieces of pick work that cannot be done which a claim of the next ones passes by. Where as many stand before all
/// others, it looks once more, from a place that chance gives, and no further.
pub const PASSED_BY_MAX: usize = 1_000;
/// Neighbours in the order of chance behind the place that a claim at random comes to, one of which it begins with.
pub const NEIGHBOURS: usize = 64;
/// Picks that one such look sees: those of one order, at the least.
pub const PICKS_LOOKED_AT_MAX: usize = PARTS_MAX;
/// Picks, orders that cannot be done, or positions that are looked at and count as one line of a document.
pub const SEEN_PER_LINE: usize = 64;
/// How much the looks for work of one atomic batch see: behind the request that reaches it the rest is refused.
pub const SEEN_MAX: usize = (1 << 20) * SEEN_PER_LINE;
/// How long a claim stands if the request does not say, in milliseconds: 15 minutes.
pub const LEASE_MS: u64 = 15 * 60 * 1_000;
/// The longest time that a claim may be given at once, in milliseconds: a day.
pub const LEASE_MS_MAX: u64 = 24 * 60 * 60 * 1_000;
/// Lines of waiting orders that one event fills at the most; the rest is filled by the next turns, before anything else is
/// decided.
pub const FILL_LINES_MAX: usize = 1_024;
/// Picks for them: after the line that reaches it, the rest wait.
pub const FILL_PICKS_MAX: usize = 16_384;
/// Positions looked at for them: after the SKU that reaches it, the rest wait.
pub const FILL_POSITIONS_MAX: usize = 262_144;
/// Places of other goods that were missed which one short pick looks at, for all its lines together, to replace what was
/// missed. Lines behind that stay short where nothing else is there.
pub const GAPS_LOOKED_AT_MAX: usize = 262_144;
/// The highest fence: the greatest whole number that every reader of JSON has exactly.
pub const FENCE_MAX: u64 = (1 << 53) - 1;
/// Resources whose fence is kept, for ever: about 100 bytes each.
pub const FENCES_MAX: usize = 1_000_000;
/// Open proposals on one card: accepting one of them, or giving the card another owner or price, ends all of them in
/// one decision.
pub const PROPOSALS_PER_CARD_MAX: usize = 1_000;
/// Tiers of prices.
pub const PRICE_TIERS_MAX: usize = 64;
/// The longest time that a hold may be given at once, in milliseconds: a year.
pub const EXPIRY_MS_MAX: u64 = 366 * 24 * 60 * 60 * 1_000;
/// How long the answer to a keyed action is kept, in milliseconds: seven days.
pub const KEY_WINDOW_MS: u64 = 7 * 24 * 60 * 60 * 1_000;
/// Request keys kept at the most. A UUID as a key costs about 200 bytes, so that this is about 1 GiB.
pub const KEYS_MAX: usize = 5_000_000;
/// Keys that one event may forget, so that no event pays for a long idle time.
pub const KEYS_FORGOTTEN_MAX: usize = 8;
/// Rows in one page of a list.
pub const PAGE_MAX: usize = 1_000;
/// Rows that one page may look at to find those that match its filter.
pub const SCAN_MAX: usize = 100_000;
/// Lines that one `explain` shows, so that no question stops the writer for long.
pub const EXPLAINED_LINES_MAX: usize = 200;
/// Positions that it shows in all of them, each with its holders: of a line with more, those that it could take from.
pub const EXPLAINED_POSITIONS_MAX: usize = 10_000;
/// Lines of transfers that the trace of a lot shows for what of it is on the way.
pub const TRANSIT_SHOWN_MAX: usize = 1_000;
/// Holders that one adjustment may name to have their holds released.
pub const RELEASED_HOLDERS_MAX: usize = 1_000;
/// Holders shown for one position by `explain` and by refusals.
pub const HOLDERS_SHOWN_MAX: usize = 20;
