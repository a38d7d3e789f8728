//! How many messages are let through: one for each kind and subject a minute, of which the last is delivered when the
//! minute is over, and so many an hour. What is too much waits, and is replaced by what came after it.
//!
//! No kind gets more than half of the hour: whoever tries passwords must not be able to hide that a tunnel failed.

use nexus_model::limits;
use nexus_model::limits::{NOTIFY_PAUSE, NOTIFY_WINDOW};
use nexus_model::notice::{Notice, NoticeKind};
use std::collections::{HashMap, VecDeque};
use tokio::time::Instant;

#[derive(Debug, Default)]
pub(super) struct Limiter {
    /// At most one for each kind and subject; the oldest first.
    queued: VecDeque<Notice>,
    last: HashMap<(NoticeKind, String), Instant>,
    /// Those of the last hour.
    sent: VecDeque<(Instant, NoticeKind)>,
}

impl Limiter {
    pub(super) fn offer(&mut self, notice: Notice) {
        let same = |queued: &&mut Notice| queued.event == notice.event && queued.subject == notice.subject;
        match self.queued.iter_mut().find(same) {
            Some(queued) => *queued = notice,
            None => self.queued.push_back(notice),
        }
    }

    /// What may go now, and when to ask again.
    pub(super) fn due(&mut self, now: Instant) -> (Vec<Notice>, Option<Instant>) {
        self.last.retain(|_, last| *last + NOTIFY_PAUSE > now);
        while self.sent.front().is_some_and(|(at, _)| *at + NOTIFY_WINDOW <= now) {
            self.sent.pop_front();
        }
        let (mut due, mut next) = (Vec::new(), None::<Instant>);
        for notice in std::mem::take(&mut self.queued) {
            match self.until(&notice) {
                Some(until) if until > now => {
                    next = Some(next.map_or(until, |next| next.min(until)));
                    self.queued.push_back(notice);
                }
                _ => {
                    self.last.insert((notice.event, notice.subject.clone()), now);
                    self.sent.push_back((now, notice.event));
                    due.push(notice);
                }
            }
        }
        (due, next)
    }

    /// None: nothing holds it.
    fn until(&self, notice: &Notice) -> Option<Instant> {
        let pause = self.last.get(&(notice.event, notice.subject.clone()));
        let pause = pause.map(|last| *last + NOTIFY_PAUSE);
        // The one whose leaving makes room.
        let room = |sent: Vec<Instant>, most: usize| {
            let at = sent.len().checked_sub(most)?;
            sent.get(at).map(|oldest| *oldest + NOTIFY_WINDOW)
        };
        let all = self.sent.iter().map(|(at, _)| *at).collect();
        let of_kind = self.sent.iter().filter(|(_, kind)| *kind == notice.event);
        let of_kind = of_kind.map(|(at, _)| *at).collect();
        [
            pause,
            room(all, limits::NOTIFY_MOST),
            room(of_kind, limits::NOTIFY_MOST_OF_A_KIND),
        ]
        .into_iter()
        .flatten()
        .max()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn notice(event: NoticeKind, subject: &str, text: &str) -> Notice {
        Notice {
            event,
            subject: subject.into(),
            text: text.into(),
            url: None,
            at: 0,
        }
    }

    fn texts(due: &[Notice]) -> Vec<&str> {
        due.iter().map(|notice| notice.text.as_str()).collect()
    }

    #[test]
    fn the_last_of_a_minute_comes_at_its_end_and_subjects_do_not_wait_for_each_other() {
        let (mut limiter, begun) = (Limiter::default(), Instant::now());
        limiter.offer(notice(NoticeKind::TunnelUrl, "home", "1"));
        assert_eq!(texts(&limiter.due(begun).0), ["1"]);
        for text in ["2", "3"] {
            limiter.offer(notice(NoticeKind::TunnelUrl, "home", text));
        }
        limiter.offer(notice(NoticeKind::TunnelUrl, "office", "o"));
        limiter.offer(notice(NoticeKind::TunnelFailed, "home", "f"));
        let (due, next) = limiter.due(begun + Duration::from_secs(1));
        assert_eq!(texts(&due), ["o", "f"]);
        assert_eq!(next, Some(begun + NOTIFY_PAUSE));
        let (due, next) = limiter.due(begun + NOTIFY_PAUSE);
        assert_eq!((texts(&due), next), (vec!["3"], None));
    }

    #[test]
    fn an_hour_has_an_end_and_no_kind_takes_all_of_it() {
        let (mut limiter, begun) = (Limiter::default(), Instant::now());
        let mut sent = 0;
        for n in 0..40 {
            limiter.offer(notice(NoticeKind::LoginLocked, &n.to_string(), "locked"));
            sent += limiter.due(begun + Duration::from_secs(n)).0.len();
        }
        assert_eq!(sent, limits::NOTIFY_MOST_OF_A_KIND);
        // The others still have their half.
        let at = begun + Duration::from_secs(60);
        for n in 0..20 {
            limiter.offer(notice(NoticeKind::TunnelFailed, &n.to_string(), "failed"));
        }
        assert_eq!(
            limiter.due(at).0.len(),
            limits::NOTIFY_MOST - limits::NOTIFY_MOST_OF_A_KIND
        );
        // Nothing is lost: it goes as soon as there is room.
        let (due, next) = limiter.due(at);
        assert_eq!((due.len(), next), (0, Some(begun + NOTIFY_WINDOW)));
        assert_eq!(limiter.due(begun + NOTIFY_WINDOW).0.len(), 1);
    }
}
