//! When the outcome of a command to open a tunnel is known. The command, and a swap, wait no longer than that, and say why.
//!
//! A plugin tells of its state, not of its end: a provider that tries again for ever never fails. So a command is also refused
//! where somebody has to do something (there is a hint), where the next try comes too late for it, and where the same reason
//! has stood for a while. The tunnel itself goes on trying.

use nexus_model::limits;
use nexus_model::time::Millis;
use nexus_model::tunnel::{TunnelState, TunnelStatus};
use std::time::Duration;
use tokio::time::Instant;

/// `Outcome` is what became of a command so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// `Open`: the tunnel is open at this address.
    Open(String),
    /// `Fresh`: it is open; its name was made just now, and is not to be asked for yet.
    Fresh,
    /// `NoAccount`: it waits for the owner account.
    NoAccount,
    /// `Off`: it was closed meanwhile.
    Off,
    /// `Refused`: it does not open in time, and why.
    Refused(Refused),
    /// `Pending` is what is being done, or what hinders it.
    Pending(String),
}

/// `Refused` says why a command is over though the tunnel may go on trying.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// `cause` is a sentence for the operator.
    pub cause: String,
    /// `fix` is what to do about it, where that is known.
    pub fix: Option<String>,
    /// `again`: it is tried again by itself, at this time where that is known.
    pub again: Option<Option<Millis>>,
}

/// `Opening` is one command, from its beginning.
#[derive(Debug)]
pub struct Opening {
    end: Instant,
    /// `stuck` is the reason why no request gets through, and since when it is the same.
    stuck: Option<(String, Instant)>,
}

impl Opening {
    /// Begins a command that may take `patience`.
    pub fn begin(patience: Duration) -> Self {
        Self {
            end: Instant::now() + patience,
            stuck: None,
        }
    }

    /// Judges the tunnel's newest status. `now` is the wall clock, in which the status tells its times.
    pub fn see(&mut self, status: &TunnelStatus, now: Millis) -> Outcome {
        let left = self.end.saturating_duration_since(Instant::now());
        let (what, again) = match &status.state {
            TunnelState::Up { .. } | TunnelState::Degraded { .. } => match &status.url {
                Some(_) if status.url_propagating => return Outcome::Fresh,
                Some(url) => return Outcome::Open(url.clone()),
                None => ("the tunnel has no address yet".to_owned(), None),
            },
            TunnelState::Failed { cause, fix } => {
                return Outcome::Refused(Refused {
                    cause: cause.clone(),
                    fix: fix.clone(),
                    again: None,
                });
            }
            TunnelState::Waiting { cause, fix, at } => {
                let pause = Duration::from_millis(at.saturating_sub(now));
                if fix.is_some() || pause > left {
                    return Outcome::Refused(Refused {
                        cause: cause.clone(),
                        fix: fix.clone(),
                        again: Some(Some(*at)),
                    });
                }
                (cause.clone(), Some(*at))
            }
            TunnelState::Reconnecting { cause } => {
                let since = match self.stuck.take() {
                    Some((same, since)) if same == *cause => since,
                    _ => Instant::now(),
                };
                self.stuck = Some((cause.clone(), since));
                if since.elapsed() >= limits::COMMAND_STUCK {
                    return Outcome::Refused(Refused {
                        cause: cause.clone(),
                        fix: None,
                        again: Some(None),
                    });
                }
                (cause.clone(), None)
            }
            TunnelState::Starting { progress } => (progress.clone(), None),
            TunnelState::LoginNeeded(login) => (login.to_string(), None),
            TunnelState::Stopping => ("the tunnel is being closed first".to_owned(), None),
            TunnelState::WaitingForAccount => return Outcome::NoAccount,
            TunnelState::Off => return Outcome::Off,
        };
        if !matches!(status.state, TunnelState::Reconnecting { .. }) {
            self.stuck = None;
        }
        if left.is_zero() {
            return Outcome::Refused(Refused {
                cause: what,
                fix: None,
                again: Some(again),
            });
        }
        Outcome::Pending(what)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn status(state: TunnelState, url: Option<&str>, fresh: bool) -> TunnelStatus {
        TunnelStatus {
            name: "home".to_owned(),
            plugin: "tunnel-x".to_owned(),
            title: "X".to_owned(),
            encryption: None,
            state,
            url: url.map(str::to_owned),
            url_propagating: fresh,
            fixed_listen: false,
            since: 0,
            statistics: None,
            reconnects: 0,
            public_check: None,
            swap: None,
            addresses: Vec::new(),
            ext: nexus_model::chat::Ext::default(),
        }
    }

    fn waiting(fix: Option<&str>, at: Millis) -> TunnelStatus {
        let state = TunnelState::Waiting {
            cause: "the service answered 500.".to_owned(),
            fix: fix.map(str::to_owned),
            at,
        };
        status(state, None, false)
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_that_is_longer_than_what_is_left_is_the_answer() {
        let mut opening = Opening::begin(Duration::from_secs(120));
        assert!(matches!(
            opening.see(&waiting(None, 1_000 + 119_000), 1_000),
            Outcome::Pending(_)
        ));
        let Outcome::Refused(refused) = opening.see(&waiting(None, 1_000 + 300_000), 1_000) else {
            panic!("it waits for what cannot come")
        };
        assert_eq!(
            (refused.cause.as_str(), refused.again),
            ("the service answered 500.", Some(Some(301_000)))
        );
        tokio::time::advance(Duration::from_secs(118)).await;
        assert!(matches!(opening.see(&waiting(None, 4_000), 1_000), Outcome::Refused(_)));
        // Somebody has to do something: no pause is short enough.
        assert!(matches!(
            Opening::begin(Duration::from_secs(120)).see(&waiting(Some("install it"), 1_200), 1_000),
            Outcome::Refused(_)
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reason_that_stays_is_the_answer_and_the_last_line_has_the_last_one() {
        let mut opening = Opening::begin(Duration::from_secs(120));
        let state = |cause: &str| {
            status(
                TunnelState::Reconnecting {
                    cause: cause.to_owned(),
                },
                None,
                false,
            )
        };
        assert!(matches!(opening.see(&state("a"), 0), Outcome::Pending(_)));
        tokio::time::advance(limits::COMMAND_STUCK / 2).await;
        assert!(
            matches!(opening.see(&state("b"), 0), Outcome::Pending(_)),
            "another one"
        );
        tokio::time::advance(limits::COMMAND_STUCK / 2).await;
        assert!(matches!(opening.see(&state("b"), 0), Outcome::Pending(_)));
        tokio::time::advance(limits::COMMAND_STUCK / 2).await;
        assert!(matches!(opening.see(&state("b"), 0), Outcome::Refused(refused) if refused.cause == "b"));
        let starting = status(
            TunnelState::Starting {
                progress: "dialling".to_owned(),
            },
            None,
            false,
        );
        assert_eq!(opening.see(&starting, 0), Outcome::Pending("dialling".to_owned()));
        tokio::time::advance(Duration::from_secs(120)).await;
        assert!(matches!(opening.see(&starting, 0), Outcome::Refused(refused) if refused.cause == "dialling"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_was_made_just_now_is_not_given_out() {
        let mut opening = Opening::begin(Duration::from_secs(120));
        let up = |fresh| status(TunnelState::Up { connections: 1 }, Some("https://a-b.example"), fresh);
        assert_eq!(opening.see(&up(true), 0), Outcome::Fresh);
        assert_eq!(
            opening.see(&up(false), 0),
            Outcome::Open("https://a-b.example".to_owned())
        );
    }
}
