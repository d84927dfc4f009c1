//! The intake may do what its token may do.

use std::sync::atomic::Ordering;

use jaego_queue::IntakeOptions;
use jaego_server::{Role, tokens::TokenGrant};
use jaego_testkit::{Durability, wait_until};

use crate::world::{PATIENCE, World, hold};

#[test]
fn roles_and_sites_are_those_of_the_token() {
    let world = World::new(Durability::None);
    let mut client = world.client();
    let running = world.intake();
    world.stock(&mut client, &["mug"], 100);
    let id = client.send(r#"{"op":"request_transfer","id":"T0","from":"PUS","to":"PUS","lines":[]}"#);
    assert_eq!(client.reply(&id).status, 422);
    world.end(running);

    let token = |role, sites: Option<&[&str]>| {
        let sites = sites.map(|sites| sites.iter().map(|site| (*site).to_owned()).collect());
        world.tokens.create(TokenGrant { name: "queue".to_owned(), role, sites, rate: None }).unwrap().0
    };
    let worker = token(Role::Worker, None);
    let running = world.intake_with(IntakeOptions { token: worker, ..world.options() });
    for (command, expected) in [
        (hold("H1", "mug", 1), "403 forbidden"),
        (r#"{"op":"claim_order","order":"O1","worker":"ann"}"#.to_owned(), "404 order_not_found"),
    ] {
        let id = client.send(&command);
        assert_eq!(client.told(&id), expected, "{command}");
    }
    world.end(running);

    // Sent together, so that they are read together: each may be about what the one before it brought.
    let transfer = |id: &str| {
        format!(
            r#"{{"op":"request_transfer","id":"{id}","from":"ICN","to":"PUS","lines":[{{"line":"1","sku":"mug","quantity":1}}]}}"#
        )
    };
    let ids: Vec<_> = [
        transfer("T1"),
        r#"{"op":"allocate_transfer","transfer":"T1"}"#.to_owned(),
        hold("H2", "mug", 1),
        r#"{"op":"release_hold","hold":"H2"}"#.to_owned(),
        r#"{"op":"charge","owner":"ann","currency":"KRW","amount":5}"#.to_owned(),
        hold("H3", "mug", 1_000),
    ]
    .iter()
    .map(|command| client.send(command))
    .collect();
    let icn = token(Role::Operator, Some(&["ICN"]));
    let running = world.intake_with(IntakeOptions { token: icn, ..world.options() });
    let told: Vec<_> = ids.iter().map(|id| client.told(id)).collect();
    assert_eq!(told, ["done", "done", "done", "done", "403 forbidden", "409 insufficient_stock"]);
    world.end(running);

    let ids = [client.send(&transfer("T2")), client.send(&hold("H4", "mug", 1))];
    let pus = token(Role::Operator, Some(&["PUS"]));
    let running = world.intake_with(IntakeOptions { token: pus, ..world.options() });
    let told: Vec<_> = ids.iter().map(|id| client.told(id)).collect();
    assert_eq!(told, ["done", "403 forbidden"]);

    // A token that is revoked takes nothing more, and the next one goes on with what waits.
    world.tokens.revoke(pus).unwrap();
    let id = client.send(&hold("H5", "mug", 1));
    world.end(running);
    assert!(!client.replies().contains_key(&id));
    let running = world.intake();
    assert_eq!(client.told(&id), "done");
    world.end(running);
}

#[test]
fn no_command_is_taken_with_a_token_that_was_revoked_meanwhile() {
    let world = World::new(Durability::None);
    let mut client = world.client();
    let running = world.intake();
    world.stock(&mut client, &["mug"], 100);
    world.end(running);
    let grant = TokenGrant { name: "queue".to_owned(), role: Role::Operator, sites: None, rate: None };
    let (token, _) = world.tokens.create(grant).unwrap();
    let running = world.intake_with(IntakeOptions { token, ..world.options() });
    world.wait_for("jaego_intake_authorised", 1);
    // The store has too much to do when the command comes, and the token is revoked while it is waited for.
    world.store.busy.store(usize::MAX, Ordering::SeqCst);
    let id = client.send(&hold("H1", "mug", 1));
    world.wait_for("jaego_intake_retries_total", 2);
    world.tokens.revoke(token).unwrap();
    world.store.busy.store(0, Ordering::SeqCst);
    // Connected, and yet no command is taken: there is a number for that.
    wait_until("no authority", PATIENCE, || (world.metric("jaego_intake_authorised") == 0).then_some(()))
        .unwrap();
    assert_eq!((world.metric("jaego_intake_connected"), world.store.open_holds()), (1, 0));
    assert!(!client.replies().contains_key(&id));
    world.end(running);
    // One that waits for nothing notices it as well.
    let running = world.intake();
    assert_eq!(client.told(&id), "done");
    world.wait_for("jaego_intake_authorised", 1);
    world.tokens.revoke(world.admin).unwrap();
    wait_until("no authority", PATIENCE, || (world.metric("jaego_intake_authorised") == 0).then_some(()))
        .unwrap();
    world.end(running);
}
