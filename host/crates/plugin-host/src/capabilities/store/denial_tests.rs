//! What the store refuses.

#![allow(clippy::unwrap_used, clippy::panic)]

use crate::capabilities::gate::Gate;
use crate::capabilities::test_gate::{configured, gate, pasted};
use nexus_config::grants::StoreGrant;
use nexus_config::resolved::Grants;
use nexus_model::token_bucket::TokenBucket;

/// It may write 1 MiB a minute.
fn of_quota(quota: u64) -> Grants {
    let writes = 1 << 20;
    Grants {
        store: StoreGrant { quota, writes },
        ..Grants::default()
    }
}

#[test]
fn the_store_needs_a_quota() {
    let denial = gate(Grants::default()).store().unwrap_err();
    assert_eq!(
        pasted(&denial.0)["plugin"]["demo"]["grants"]["store_quota"].as_integer(),
        Some(4096)
    );
    assert_eq!(gate(of_quota(7)).store(), Ok(7));
}

#[tokio::test]
async fn what_is_written_over_time_has_an_end_that_can_be_raised() {
    let g = gate(of_quota(0));
    let minute = std::time::Duration::from_secs(60);
    let rate = |g: &Gate| TokenBucket::new(g.grants().store.writes as f64, minute);
    // The store of a hostile plugin: the same key again and again.
    let flood = |g: &Gate, bytes: usize| {
        let writes = rate(g);
        let mut written = 0_u64;
        loop {
            match g.write(&writes, bytes) {
                Ok(()) => written += bytes as u64,
                Err(denial) => return (written, denial),
            }
        }
    };
    let (written, denial) = flood(&g, 200_000);
    assert!(written <= g.grants().store.writes, "{written}");
    assert!(denial.0.contains("writes more than 1 MiB a minute"), "{}", denial.0);
    let raised = configured(Some(&denial.0));
    assert_eq!(raised.grants().store.writes, 2 << 20);
    assert!(flood(&raised, 200_000).0 > written);
    // Nothing is not free either: each write is a page of the database.
    let writes = rate(&g);
    let empty = (0..1_000_000).take_while(|_| g.write(&writes, 0).is_ok()).count();
    assert!(empty <= 128, "{empty}");
    // One that is larger than the limit itself: what is printed allows it.
    let (none, denial) = flood(&g, 3 << 20);
    assert_eq!(none, 0);
    assert!(flood(&configured(Some(&denial.0)), 3 << 20).0 > 0, "{}", denial.0);
}

#[test]
fn a_full_store_says_how_much_more_may_be_asked_for() {
    let of = |quota| gate(of_quota(quota));
    assert_eq!(configured(Some(&of(7).store_full("full").0)).store(), Ok(4096));
    assert!(of(4096).store_full("full").0.contains("does not request more"));
}
