//! Sites, locations, SKUs and lots as people set and show them.

use super::{House, timeless};

#[test]
fn master_data_is_set_listed_and_shown() {
    let house = House::start();
    assert_eq!(
        timeless(
            &house.run_words(&["site", "set", "ICN", "--name", "인천", "--time-zone", "Asia/Seoul"]).out
        ),
        "site ICN is set (event N)\n"
    );
    assert_eq!(
        house.done("site list"),
        "SITE  NAME  TIME ZONE   STRATEGY  ORDER ALLOCATION\nICN   인천  Asia/Seoul  fefo      on_arrival\n"
    );
    assert_eq!(
        house.done("location set ICN A-01 --zone A --pick-order 7"),
        "location A-01 of ICN is set (event N)\n"
    );
    assert_eq!(
        house.done("location show ICN A-01"),
        "SITE  LOCATION  KIND     ZONE  PICK ORDER\nICN   A-01      storage  A              7\n"
    );
    assert_eq!(
        house.done("sku set milk --tracking lot --safety-stock ICN=20"),
        "SKU milk is set (event N)\n"
    );
    assert_eq!(house.done("sku list"), "SKU   TRACKING  SAFETY STOCK\nmilk  lot       ICN=20\n");
    assert_eq!(house.done("lot set milk L1 --expires-on 2030-01-31"), "lot L1 of milk is set (event N)\n");
    assert_eq!(house.done("lot list milk"), "SKU   LOT  EXPIRES     INSIDE\nmilk  L1   2030-01-31       0\n");
    // What is not named stays: a recall forgets no last day, and another strategy no time zone.
    assert_eq!(house.done("lot block milk L1"), "lot L1 of milk is set (event N)\n");
    house.done("lot set milk L1 --received-on 2030-01-01");
    assert_eq!(
        house.done("lot list milk"),
        "SKU   LOT  RECEIVED    EXPIRES     BLOCKED  INSIDE\n\
         milk  L1   2030-01-01  2030-01-31  blocked       0\n"
    );
    house.done("lot unblock milk L1");
    assert_eq!(house.run("lot block milk L2").code, 3, "a misspelt lot is not made");
    house.done("site set ICN --strategy fifo");
    assert_eq!(
        house.done("site list"),
        "SITE  NAME  TIME ZONE   STRATEGY  ORDER ALLOCATION\nICN   인천  Asia/Seoul  fifo      on_arrival\n"
    );
    assert_eq!(house.run("site set ICN --strategy explicit").code, 3);
    house.done("location set ICN A-01 --pick-order 8");
    assert_eq!(
        house.done("location show ICN A-01"),
        "SITE  LOCATION  KIND     ZONE  PICK ORDER\nICN   A-01      storage  A              8\n"
    );
    house.done("sku set milk --name explicit");
    house.done("sku set milk --price KRW=900");
    assert_eq!(
        house.done("sku list"),
        "SKU   NAME      TRACKING  SAFETY STOCK  PRICES\nmilk  explicit  lot       ICN=20        KRW=900\n"
    );
    house.done("stock adjust S1 --site ICN milk/L1@A-01=+5");
    assert_eq!(
        house.done("lot trace milk L1"),
        "SKU   LOT  RECEIVED    EXPIRES     INSIDE\nmilk  L1   2030-01-01  2030-01-31       5\n\
         SITE  LOCATION  LOT  ON HAND  HELD  AVAILABLE  VERDICT\n\
         ICN   A-01      L1         5     0          5  available\n\
         customers have 0 of it: `jaego stock movements --sku milk --lot L1` names the documents\n"
    );
}

#[test]
fn a_lot_is_recalled() {
    let house = House::furnished();
    house.done("sku set milk --tracking lot");
    house.done("lot set milk L1");
    house.done("stock adjust J1 --site ICN milk/L1@A-01=+9 --account supplier");
    house.done("hold place H1 --site ICN milk=2 --owner kim");
    house.done("hold confirm H1");
    house.done("hold place H2 --site ICN milk=3 --owner lee");
    house.done("transfer request T1 --from ICN --to GMP milk=1");
    house.done("transfer allocate T1");
    house.done("transfer pick T1");
    house.done("transfer ship T1 SH1");
    house.done("lot block milk L1");
    let holds = house.done("hold list --sku milk --lot L1");
    assert!(holds.contains("H2") && holds.contains("lee") && !holds.contains("H1"), "{holds}");
    assert_eq!(house.done("hold list --owner kim").lines().count(), 1);
    assert_eq!(house.done("lot holders milk L1"), "KIND  ID  HELD\nhold  H2     3\n");
    assert_eq!(house.run("lot holders milk L1 --site JEJ").code, 3);
    let trace = house.done("lot trace milk L1");
    assert!(trace.contains("T1") && trace.contains("ON THE WAY"), "{trace}");
    assert!(trace.contains("customers have 2 of it: "), "{trace}");
    let refused = house.run("hold confirm H2");
    assert!(
        refused.err.contains("refused: lot L1 of milk in line 1 is blocked (lot_blocked)"),
        "{}",
        refused.err
    );
    let refused = house.run("hold confirm H2 1=1");
    assert!(refused.err.contains("refused: 1=1: lot L1 of milk in line 1 is blocked"), "{}", refused.err);
    house.done("hold release H2");
    house.done("lot unblock milk L1");
}
