//! Lines of strangers, folded: the first of its kind is written at once, the same again within a minute is counted, and
//! the count follows when the minute is over. The same is: event, account, place, and the network of the peer. At each
//! place a bounded number of different ones is told apart; what is beyond is counted together.

use nexus_model::limits::{AUDIT_FOLD, AUDIT_KEYS};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Instant;

pub(super) type Fields = Map<String, Value>;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    event: String,
    account: String,
    place: String,
    network: String,
}

struct Counted {
    since: Instant,
    /// `began` is when the first one was, for people.
    began: String,
    fields: Fields,
    repeated: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FoldOutcome {
    Write,
    Counted,
}

#[derive(Default)]
pub(super) struct Fold {
    counted: HashMap<Key, Counted>,
    /// `places` counts how many of them are held at each place.
    places: HashMap<String, usize>,
}

impl Fold {
    pub(super) fn take(&mut self, fields: &Fields, timestamp: &str, now: Instant) -> FoldOutcome {
        let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut key = Key {
            event: text("event"),
            account: text("account"),
            place: text("place"),
            network: network(&text("peer")),
        };
        if let Some(counted) = self.counted.get_mut(&key) {
            counted.repeated += 1;
            return FoldOutcome::Counted;
        }
        let here = self.places.entry(key.place.clone()).or_default();
        let mut fields = fields.clone();
        let mut fate = FoldOutcome::Write;
        if *here >= AUDIT_KEYS {
            fate = FoldOutcome::Counted;
            key.account = String::new();
            key.network = String::new();
            for name in ["account", "peer"] {
                fields.insert(name.to_owned(), "(others)".into());
            }
        } else {
            *here += 1;
        }
        let counted = self.counted.entry(key).or_insert_with(|| Counted {
            since: now,
            began: timestamp.to_owned(),
            fields,
            repeated: 0,
        });
        if fate == FoldOutcome::Counted {
            counted.repeated += 1;
        }
        fate
    }

    /// `is_empty` tells whether nothing is counted now, so that nothing will be due.
    pub(super) fn is_empty(&self) -> bool {
        self.counted.is_empty()
    }

    /// `due` are the lines for what was counted and is over by now; at the end (`None`), for all of it.
    pub(super) fn due(&mut self, now: Option<Instant>) -> Vec<Fields> {
        let over = |counted: &Counted| now.is_none_or(|now| now.saturating_duration_since(counted.since) >= AUDIT_FOLD);
        let mut lines = Vec::new();
        self.counted.retain(|_, counted| {
            if !over(counted) {
                return true;
            }
            if counted.repeated > 0 {
                let mut fields = std::mem::take(&mut counted.fields);
                fields.insert("repeated".into(), counted.repeated.into());
                fields.insert("since".into(), std::mem::take(&mut counted.began).into());
                lines.push(fields);
            }
            false
        });
        self.places.clear();
        for key in self
            .counted
            .keys()
            .filter(|key| !key.network.is_empty() || !key.account.is_empty())
        {
            *self.places.entry(key.place.clone()).or_default() += 1;
        }
        lines
    }
}

/// `network` is that of a peer: the /24 of IPv4, the /48 of IPv6. Who has one address has many.
pub fn network(peer: &str) -> String {
    match peer.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Ok(IpAddr::V4(v4)) => {
            let [a, b, c, _] = v4.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        Ok(IpAddr::V6(v6)) => {
            let [a, b, c, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}::/48")
        }
        Err(_) => peer.to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn failed(account: &str, place: &str, peer: &str) -> Fields {
        let line = serde_json::json!({ "event": "login_failed", "account": account, "place": place, "peer": peer });
        line.as_object().unwrap().clone()
    }

    #[test]
    fn repeats_are_counted_and_written_when_the_minute_is_over() {
        let (mut fold, now) = (Fold::default(), Instant::now());
        let fates: Vec<_> = (0..1000)
            .map(|n| fold.take(&failed("owner", "loopback", &format!("192.0.2.{}", n % 250)), "t0", now))
            .collect();
        assert_eq!(fates.iter().filter(|fate| **fate == FoldOutcome::Write).count(), 1);
        assert!(fold.due(Some(now)).is_empty() && !fold.is_empty(), "more is due later");
        let lines = fold.due(Some(now + AUDIT_FOLD));
        assert!(fold.is_empty());
        assert_eq!(lines.len(), 1);
        assert_eq!((&lines[0]["repeated"], &lines[0]["since"]), (&999.into(), &"t0".into()));
        assert_eq!(
            fold.take(&failed("owner", "loopback", "192.0.2.1"), "t1", now),
            FoldOutcome::Write,
            "a new minute"
        );
        assert!(fold.due(None).is_empty(), "one that was alone has been written");
    }

    #[test]
    fn names_and_addresses_at_random_are_bounded_at_their_place_and_hide_nothing_at_another() {
        let (mut fold, now) = (Fold::default(), Instant::now());
        let flood = |fold: &mut Fold, n: u32| {
            let peer = std::net::Ipv4Addr::from(n << 8).to_string();
            fold.take(&failed(&format!("name{n}"), "tunnel main", &peer), "t", now)
        };
        let written = (0..100_000)
            .filter(|n| flood(&mut fold, *n) == FoldOutcome::Write)
            .count();
        assert_eq!(written, AUDIT_KEYS);
        assert!(fold.counted.len() <= AUDIT_KEYS + 1, "{}", fold.counted.len());
        assert_eq!(
            fold.take(&failed("owner", "loopback", "::1"), "t", now),
            FoldOutcome::Write
        );
        let lines = fold.due(None);
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["account"], "(others)");
        assert_eq!(lines[0]["repeated"], 100_000 - AUDIT_KEYS as u64);
    }

    #[test]
    fn a_peer_is_its_network() {
        assert_eq!(network("203.0.113.9"), "203.0.113.0/24");
        assert_eq!(network("::ffff:203.0.113.9"), "203.0.113.0/24");
        assert_eq!(network("2001:db8:1:2::3"), "2001:db8:1::/48");
        assert_eq!(network(""), "");
    }
}
