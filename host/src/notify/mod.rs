//! Tells an owner who is away: through a program of theirs, a webhook, or both.
//!
//! [`watched_services`] sees the services and [`conditions`] finds what is worth a message, [`rate_limit`] holds back what would be too much,
//! and each of the [`channels`] has a worker of its own, so that a webhook that hangs delays no program. Messages are not kept over a restart: what is still so then is
//! found again.

mod channels;
mod conditions;
mod rate_limit;
pub(crate) mod watched_services;

use futures::future::BoxFuture;
use nexus_model::limits;
use nexus_model::notice::{Notice, NoticeKind};
use rate_limit::Limiter;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// A channel through which somebody is told.
pub trait Channel: Send + Sync + 'static {
    /// For the log: `the command tell-me`, `the webhook at hooks.example.org`. Without a secret.
    fn name(&self) -> String;
    /// How often it is tried again, with growing pauses.
    fn again(&self) -> u32;
    /// One try, which ends within [`limits::NOTIFY_TRY`]. `Err`: a sentence for the log, without a secret.
    fn tell<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), String>>;
}

/// Takes messages, and returns at once. Its tasks end when the last clone is dropped.
#[derive(Clone)]
pub struct Notifier {
    to: mpsc::Sender<Notice>,
    events: Arc<BTreeSet<NoticeKind>>,
}

impl Notifier {
    /// Must be called within tokio.
    pub fn start(events: BTreeSet<NoticeKind>, channels: Vec<Arc<dyn Channel>>) -> Self {
        let (to, notices) = mpsc::channel(limits::NOTIFY_QUEUE);
        let workers = channels.into_iter().map(|channel| {
            let (to, notices) = mpsc::channel(limits::NOTIFY_QUEUE);
            tokio::spawn(work(channel, notices));
            to
        });
        tokio::spawn(pass_on(notices, workers.collect()));
        Self {
            to,
            events: Arc::new(events),
        }
    }

    /// Where its kind is not among those that were asked for, nothing happens.
    pub fn tell(&self, notice: Notice) {
        if self.events.contains(&notice.event) && self.to.try_send(notice).is_err() {
            tracing::warn!("a notification was dropped: too many are queued");
        }
    }
}

async fn pass_on(mut notices: mpsc::Receiver<Notice>, workers: Vec<mpsc::Sender<Notice>>) {
    let mut limiter = Limiter::default();
    loop {
        let (due, next) = limiter.due(Instant::now());
        for notice in due {
            for worker in &workers {
                if worker.try_send(notice.clone()).is_err() {
                    tracing::warn!("a notification was dropped: too many are queued");
                }
            }
        }
        let pause = async {
            match next {
                Some(next) => tokio::time::sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            notice = notices.recv() => match notice {
                Some(notice) => limiter.offer(notice),
                None => return,
            },
            () = pause => {}
        }
    }
}

/// One after the other. A failure is one line of the log for each message, and so at most as many as messages.
async fn work(channel: Arc<dyn Channel>, mut notices: mpsc::Receiver<Notice>) {
    while let Some(notice) = notices.recv().await {
        let mut pause = limits::NOTIFY_AGAIN;
        let mut left = channel.again();
        loop {
            let told = tokio::time::timeout(limits::NOTIFY_TRY * 2, channel.tell(&notice)).await;
            let cause = match told {
                Ok(Ok(())) => break,
                Ok(Err(cause)) => cause,
                Err(_) => "no end of it".to_owned(),
            };
            let event = notice.event.to_string();
            if left == 0 {
                tracing::warn!(event, "cannot notify {}: {cause}", channel.name());
                break;
            }
            tracing::debug!(event, "cannot notify {}, retrying: {cause}", channel.name());
            left -= 1;
            tokio::time::sleep(pause).await;
            pause *= 4;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use nexus_testkit::wait;
    use std::sync::Mutex;
    use std::time::Duration;

    /// Fails as often as it is told to.
    struct Fake {
        fails: Mutex<u32>,
        told: mpsc::UnboundedSender<(Instant, String)>,
    }

    impl Channel for Fake {
        fn name(&self) -> String {
            "the fake".into()
        }
        fn again(&self) -> u32 {
            3
        }
        fn tell<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), String>> {
            Box::pin(async move {
                let mut fails = self.fails.lock().unwrap();
                if *fails > 0 {
                    *fails -= 1;
                    return Err("down".into());
                }
                self.told.send((Instant::now(), notice.text.clone())).unwrap();
                Ok(())
            })
        }
    }

    fn fake(fails: u32) -> (Arc<dyn Channel>, mpsc::UnboundedReceiver<(Instant, String)>) {
        let (told, heard) = mpsc::unbounded_channel();
        let fails = Mutex::new(fails);
        (Arc::new(Fake { fails, told }), heard)
    }

    async fn next(heard: &mut mpsc::UnboundedReceiver<(Instant, String)>) -> (Instant, String) {
        wait::within("the next notice", heard.recv()).await.unwrap()
    }

    fn notice(event: NoticeKind, text: &str) -> Notice {
        Notice {
            event,
            subject: "tunnel home".into(),
            text: text.into(),
            url: None,
            at: 1,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_asked_for_comes_at_once_and_the_rest_as_one_after_the_pause() {
        let (channel, mut heard) = fake(0);
        let notifier = Notifier::start(BTreeSet::from([NoticeKind::TunnelUrl]), vec![channel]);
        let begun = Instant::now();
        notifier.tell(notice(NoticeKind::TunnelFailed, "not asked for"));
        for text in ["first", "second", "third"] {
            notifier.tell(notice(NoticeKind::TunnelUrl, text));
            tokio::task::yield_now().await;
        }
        assert_eq!(next(&mut heard).await, (begun, "first".into()));
        let (at, text) = next(&mut heard).await;
        assert_eq!(text, "third");
        assert_eq!((at - begun).as_secs(), limits::NOTIFY_PAUSE.as_secs());
        assert!(heard.try_recv().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_channel_that_fails_is_tried_again_three_times_and_holds_no_other_up() {
        let (slow, mut late) = fake(3);
        let (dead, mut never) = fake(4);
        let (good, mut soon) = fake(0);
        let notifier = Notifier::start(BTreeSet::from(NoticeKind::ALL), vec![slow, dead, good]);
        let begun = Instant::now();
        notifier.tell(notice(NoticeKind::TunnelUrl, "here"));
        assert_eq!(next(&mut soon).await.0, begun);
        let (at, _) = next(&mut late).await;
        // 1, 4 and 16 pauses.
        assert_eq!((at - begun).as_secs(), (limits::NOTIFY_AGAIN * 21).as_secs());
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert!(never.try_recv().is_err());
        // The next message is retried.
        notifier.tell(notice(NoticeKind::TunnelUrl, "again"));
        assert_eq!(next(&mut never).await.1, "again");
    }

    #[tokio::test(start_paused = true)]
    async fn messages_that_nobody_takes_are_not_kept_without_an_end() {
        struct Stuck;
        impl Channel for Stuck {
            fn name(&self) -> String {
                "one that never answers".into()
            }
            fn again(&self) -> u32 {
                0
            }
            fn tell<'a>(&'a self, _: &'a Notice) -> BoxFuture<'a, Result<(), String>> {
                Box::pin(std::future::pending())
            }
        }
        let notifier = Notifier::start(BTreeSet::from(NoticeKind::ALL), vec![Arc::new(Stuck)]);
        for _ in 0..1_000 {
            // Returns at once, whatever became of it.
            notifier.tell(notice(NoticeKind::TunnelUrl, "x"));
            tokio::task::yield_now().await;
        }
        assert_eq!(notifier.to.max_capacity(), limits::NOTIFY_QUEUE);
    }
}
