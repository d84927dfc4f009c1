//! Orders from their place in the line, or out of a cart, to their end.

use std::fs;

use serde_json::Value;

use super::House;

#[test]
fn orders_are_placed_claimed_and_completed() {
    let house = House::furnished();
    assert_eq!(
        house.done("order place O1 --site ICN mug=2 cup=1 --customer kim --priority 3"),
        "order O1 is placed (event N)\n\
         LINE  SKU  SITE  LOCATION  QUANTITY\n\
         1     mug  ICN   A-01             2\n\
         2     cup  ICN   A-02             1\n"
    );
    house.done("order place O2 --site ICN mug=7 --backorder");
    let refused = house.run("claim order O2 --worker ann");
    assert_eq!(refused.code, 3);
    assert!(
        refused.err.starts_with(
            "jaego: refused: line 1 of order O2 asks for 7 of mug, and 6 are allocated (order_short)\n"
        ),
        "{}",
        refused.err
    );
    let claims = house.run("claim next ICN --worker ann --policy priority --count 5 --lease 10m --json");
    let claims: Value = serde_json::from_str(&claims.out).unwrap();
    assert_eq!(claims["claims"].as_array().map(Vec::len), Some(1), "{claims}");
    let fence = claims["claims"][0]["fence"].as_u64().unwrap();
    let other = house.run("claim next ICN --worker bob");
    assert!(other.err.contains("(nothing_to_claim)\ntry: `jaego order list "), "{}", other.err);
    let said = house.done("order list --status processing");
    assert_eq!(
        said,
        "ORDER  SITE  STATUS      CUSTOMER  PRIORITY  LINES  ALLOCATED  WORKER  PLACED\n\
         O1     ICN   processing  kim              3      2  yes        ann     TIME\n"
    );
    assert!(house.done("status").contains("\norders      1 waiting, 1 claimed\n"));
    house.done(&format!("claim extend O1 --worker ann --fence {fence} --lease 1h"));
    assert_eq!(house.run("order complete O1 --worker ann").code, 2, "a worker comes with a fence");
    let lost = house.run(&format!("order complete O1 --worker bob --fence {fence}"));
    assert_eq!(lost.code, 3);
    assert!(lost.err.contains("(claim_lost)"), "{}", lost.err);
    let completed = house.done(&format!("order complete O1 --worker ann --fence {fence}"));
    assert!(completed.starts_with("order O1 is completed (event N)\n"), "{completed}");
    // What arrives goes to the order that waits for it.
    house.done("stock adjust S2 --site ICN --account supplier mug@A-02=4");
    assert!(house.done("events --kind orders_filled").trim_end().ends_with("order O2"));
    assert_eq!(
        house.done("order show O2"),
        "order     O2\nsite      ICN\nstatus    waiting\npriority  0\nplaced    TIME\n\
         LINE  SKU  QUANTITY  ALLOCATED  LOCATION  PICK\n\
         1     mug         7          7  A-01         6\n\
         1     mug         7          7  A-02         1\n"
    );
    // What its placing was short of has come since.
    let again = house.done("order allocate O2");
    let told = "order O2 got this when it was last allocated; `jaego order show` has what it holds now (event N, and was";
    assert!(again.starts_with(told), "{again}");
    house.done("claim order O2 --worker bob");
    assert_eq!(house.done("order cancel O2"), "order O2 is cancelled (event N)\n");
    assert_eq!(
        house.done("order allocation ICN at_completion"),
        "orders of ICN are allocated at completion (event N)\n"
    );
    assert_eq!(house.done("order place O3 --site ICN mug=99"), "order O3 is placed (event N)\n");
    house.done("order place O5 --site ICN cup=9 --backorder");
    let allocated = house.done("order allocate O5");
    assert!(allocated.starts_with("order O5 is partially allocated (event N)\n"), "{allocated}");
    house.done("order place O6 --site ICN mug=1");
    let allocated = house.done("order allocate O6");
    assert!(allocated.starts_with("order O6 is allocated (event N)\n"), "{allocated}");
    let located = house.run("order place O4 --site ICN mug@A-01=1");
    assert_eq!((located.code, located.out.as_str()), (2, ""), "{}", located.err);
}

#[test]
fn carts_are_filled_checked_out_and_refunded() {
    let house = House::furnished();
    house.done("sku set mug --price KRW=5000 --price USD=4");
    assert!(house.done("sku show mug").contains("KRW=5000 USD=4"));
    house.done("sku set cup --price KRW=3000");
    house.done("cart set C1 --site ICN --owner kim --hold 10m");
    let empty = house.done("cart show C1");
    assert!(empty.contains("\nheld    not now: each change holds its items for 600 s\n"), "{empty}");
    let item = house.done("cart item C1 mug 2");
    assert!(
        item.starts_with("cart C1 has 2 of mug (event N)\n") && item.contains("\nheld until TIME"),
        "{item}"
    );
    house.done("cart item C1 cup 1");
    let shown = house.done("cart show C1");
    assert!(shown.contains("\nstatus  open\n") && shown.contains("\ntotal   13000 KRW\n"), "{shown}");
    assert!(house.done("cart list --owner kim").contains("C1"));
    assert!(house.done("status").contains("\ncarts       1 open\n"));
    let refused = house.run("cart checkout C1 KRW");
    assert_eq!(refused.code, 3);
    assert!(
        refused.err.starts_with(
            "jaego: refused: cart C1 cannot be checked out: kim has 0 KRW available, not 13000 (checkout_blocked)\n"
        ),
        "{}",
        refused.err
    );
    house.done("wallet charge kim KRW 20000");
    let changed = house.run("cart checkout C1 KRW --expected-total 12000");
    assert!(changed.err.contains("the total is 13000 KRW now, not 12000 (price_changed)"), "{}", changed.err);
    let ordered = house.done("cart checkout C1 KRW --expected-total 13000 --order O9");
    assert!(ordered.starts_with("cart C1 is order O9, paid for (event N)\n"), "{ordered}");
    assert!(ordered.contains("the wallet has 7000 left"), "{ordered}");
    let order = house.done("order show O9");
    assert!(order.contains("\nsold      13000 KRW, paid 13000\n"), "{order}");
    assert!(house.run("cart checkout C1 KRW").err.contains("(cart_ordered)"));
    let refunded = house.done("order refund O9 --amount 3000 --reason broken");
    assert!(refunded.starts_with("order O9 is refunded (event N)\n"), "{refunded}");
    assert!(refunded.ends_with("the wallet has 10000 now\n"), "{refunded}");
    assert!(house.done("order show O9").contains("\nsold      13000 KRW, paid 10000\n"));
    let refused = house.run("order refund O9 --amount 10001");
    assert!(
        refused.err.contains("10000 KRW can be refunded, not 10001 (refund_exceeds_order)"),
        "{}",
        refused.err
    );
    let told = house.run("export orders").err;
    assert!(told.contains("\norders: 1 were paid for, which is not written: "), "{told}");
    let cancelled = house.done("order cancel O9");
    assert!(cancelled.ends_with("the wallet has 20000 now\n"), "{cancelled}");
    assert!(house.done("order show O9").contains("\nsold      13000 KRW, paid 0\n"));
    house.done("cart set C2 --site ICN --owner kim");
    assert_eq!(house.done("cart discard C2"), "cart C2 is discarded (event N)\n");
    // Prices go out and come in with the SKUs.
    let file = house.file("skus.csv", "");
    house.done(&format!("export skus {file}"));
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.lines().next().unwrap().ends_with("prices.KRW,prices.USD"), "{text}");
    let again = house.done(&format!("import skus {file}"));
    assert!(again.starts_with("skus: 0 loaded"), "{again}");
    let raised = house.file("raised.csv", "sku,prices.KRW\npen,700\n");
    house.done(&format!("import skus {raised}"));
    assert!(house.done("sku show pen").contains("KRW=700"));
}
