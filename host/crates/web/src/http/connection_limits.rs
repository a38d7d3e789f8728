//! The connections of one listener: how many there may be, how they are shared, and who makes room.
//!
//! Problem: a listener that waits for a free connection is blocked for good by whoever opens all of them and then does
//! nothing, or never reads an answer.
//!
//! Mechanism: where all are taken, the one for which its client did nothing for the longest time is closed for the new one.
//! A client that does something at least every [`HTTP_IDLE`] keeps its connection, and so does one that waits for us
//! (one that owes us the rest of its request does not). What
//! is written and not taken for [`HTTP_WRITE`] ends the connection in any case ([`WriteTimeout`]). Where the peer is known (the
//! page's own listener, opened to a network) no network of peers gets more than its share, and a part is for this machine.
//!
//! Limits: behind a tunnel all connections come from the tunnel's program. Who keeps hundreds of them *busy* keeps others
//! out of that tunnel while that lasts; the other listeners have connections of their own.

use super::open_files::Listening;
use hyper::body::{Body, Frame, SizeHint};
use nexus_model::limits::{CONNECTIONS_OF_A_NETWORK, CONNECTIONS_OF_THIS_MACHINE, HTTP_IDLE, HTTP_WRITE};
use nexus_model::time::millis;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::CancellationToken;

/// `POLL_INTERVAL` is the pause between two looks for one that may make room.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// `ConnectionActivity` is what a connection did last.
#[derive(Debug)]
pub(crate) struct ConnectionActivity {
    opened: Instant,
    /// `moved` is when bytes last went either way, in milliseconds after `opened`.
    moved: AtomicU64,
    /// `working` counts the requests that we work on.
    working: AtomicUsize,
    /// `awaiting` counts those of them for which we wait for more of the client's body.
    awaiting: AtomicUsize,
}

impl ConnectionActivity {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            opened: Instant::now(),
            moved: AtomicU64::new(0),
            working: AtomicUsize::new(0),
            awaiting: AtomicUsize::new(0),
        })
    }

    fn moved(&self) {
        let now = millis(self.opened.elapsed());
        self.moved.store(now, Ordering::Relaxed);
    }

    /// `idle` is for how long the client has done nothing; `None` while it waits for us.
    fn idle(&self) -> Option<Duration> {
        let moved = Duration::from_millis(self.moved.load(Ordering::Relaxed));
        let ours = self.working.load(Ordering::Relaxed) > self.awaiting.load(Ordering::Relaxed);
        (!ours).then(|| self.opened.elapsed().saturating_sub(moved))
    }

    pub(crate) fn work(self: &Arc<Self>) -> Working {
        self.working.fetch_add(1, Ordering::Relaxed);
        Working(Arc::clone(self))
    }
}

/// `Working` lives while a request is worked on.
pub(crate) struct Working(Arc<ConnectionActivity>);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.moved();
        self.0.working.fetch_sub(1, Ordering::Relaxed);
    }
}

/// `FromClient` is a request's body, which says while it is the client's turn: a request of which half has come is
/// worked on by nobody.
pub(crate) struct FromClient<B> {
    inner: B,
    pulse: Arc<ConnectionActivity>,
    awaiting: bool,
}

impl<B> FromClient<B> {
    pub(crate) fn new(inner: B, pulse: Arc<ConnectionActivity>) -> Self {
        Self {
            inner,
            pulse,
            awaiting: false,
        }
    }

    fn awaiting(&mut self, now: bool) {
        match (self.awaiting, now) {
            (false, true) => self.pulse.awaiting.fetch_add(1, Ordering::Relaxed),
            (true, false) => self.pulse.awaiting.fetch_sub(1, Ordering::Relaxed),
            _ => return,
        };
        self.awaiting = now;
    }
}

impl<B> Drop for FromClient<B> {
    fn drop(&mut self) {
        self.awaiting(false);
    }
}

impl<B: Body + Unpin> Body for FromClient<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = Pin::new(&mut self.inner).poll_frame(cx);
        self.awaiting(frame.is_pending());
        frame
    }
    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }
    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

pub(crate) struct Slots {
    most: usize,
    listening: Listening,
    state: Arc<Mutex<OpenConnections>>,
    freed: Arc<Notify>,
}

#[derive(Default)]
struct OpenConnections {
    next: u64,
    open: HashMap<u64, Open>,
}

struct Open {
    /// `network` is `None` for one of this machine, or through a tunnel.
    network: Option<String>,
    pulse: Arc<ConnectionActivity>,
    close: CancellationToken,
}

/// `Slot` is a connection's right to be open.
pub(crate) struct Slot {
    number: u64,
    state: Arc<Mutex<OpenConnections>>,
    freed: Arc<Notify>,
    /// `close` is cancelled when it has to make room.
    pub(crate) close: CancellationToken,
}

impl Drop for Slot {
    fn drop(&mut self) {
        lock(&self.state).open.remove(&self.number);
        self.freed.notify_one();
    }
}

fn lock(state: &Mutex<OpenConnections>) -> MutexGuard<'_, OpenConnections> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

enum Admission {
    Yes,
    /// `Soon`: somebody makes room, or will.
    Soon,
    /// `No`: its network has its share, and uses it.
    No,
}

impl Slots {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            listening: Listening::new(),
            state: Arc::default(),
            freed: Arc::default(),
        }
    }

    /// Waits until there is room. `None`: this peer has its share already.
    pub(crate) async fn enter(&self, peer: SocketAddr, pulse: &Arc<ConnectionActivity>) -> Option<Slot> {
        let network =
            (!peer.ip().to_canonical().is_loopback()).then(|| nexus_logging::audit::network(&peer.ip().to_string()));
        loop {
            {
                let mut state = lock(&self.state);
                match state.room(self.listening.share(self.most), network.as_deref()) {
                    Admission::Yes => return Some(self.open(&mut state, network, pulse)),
                    Admission::No => return None,
                    Admission::Soon => {}
                }
            }
            let _ = tokio::time::timeout(POLL_INTERVAL, self.freed.notified()).await;
        }
    }

    fn open(&self, state: &mut OpenConnections, network: Option<String>, pulse: &Arc<ConnectionActivity>) -> Slot {
        state.next += 1;
        let (number, close) = (state.next, CancellationToken::new());
        let open = Open {
            network,
            pulse: Arc::clone(pulse),
            close: close.clone(),
        };
        state.open.insert(number, open);
        Slot {
            number,
            state: Arc::clone(&self.state),
            freed: Arc::clone(&self.freed),
            close,
        }
    }
}

impl OpenConnections {
    /// Tells whether one more may come in; where not, the one that is idle the longest is closed.
    fn room(&self, most: usize, network: Option<&str>) -> Admission {
        let of_network = |open: &Open| network.is_some() && open.network.as_deref() == network;
        let outside = |open: &Open| open.network.is_some();
        let count = |of: &dyn Fn(&Open) -> bool| self.open.values().filter(|open| of(open)).count();
        let share = (most / CONNECTIONS_OF_A_NETWORK).max(1);
        let kept = most / CONNECTIONS_OF_THIS_MACHINE;
        let everybody = |_: &Open| true;
        let (full, of): (bool, &dyn Fn(&Open) -> bool) = if network.is_some() && count(&of_network) >= share {
            (true, &of_network)
        } else if network.is_some() && count(&outside) >= most.saturating_sub(kept) {
            (true, &outside)
        } else {
            (self.open.len() >= most, &everybody)
        };
        if !full {
            return Admission::Yes;
        }
        // One that was told to go and is not gone yet.
        if self.open.values().any(|open| of(open) && open.close.is_cancelled()) {
            return Admission::Soon;
        }
        let idle = self
            .open
            .values()
            .filter(|open| of(open))
            .filter_map(|open| Some((open.pulse.idle()?, open)));
        let longest = idle
            .filter(|(idle, _)| *idle >= HTTP_IDLE)
            .max_by_key(|(idle, _)| *idle);
        match longest {
            Some((_, open)) => {
                open.close.cancel();
                Admission::Soon
            }
            None if network.is_some() && count(&of_network) >= share => Admission::No,
            None => Admission::Soon,
        }
    }
}

/// `WriteTimeout` is a stream that says when bytes move, and fails where a write is not taken in time.
pub(crate) struct WriteTimeout<S> {
    inner: S,
    pulse: Arc<ConnectionActivity>,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> WriteTimeout<S> {
    pub(crate) fn new(inner: S, pulse: Arc<ConnectionActivity>) -> Self {
        Self {
            inner,
            pulse,
            stalled: None,
        }
    }

    pub(crate) fn pulse(&self) -> Arc<ConnectionActivity> {
        Arc::clone(&self.pulse)
    }

    fn written(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if result.is_ready() {
            self.stalled = None;
            self.pulse.moved();
            return result;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(HTTP_WRITE)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the client does not read the response",
        )))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteTimeout<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.pulse.moved();
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteTimeout<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.written(cx, result)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write_vectored(cx, bytes);
        self.written(cx, result)
    }
    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use futures::FutureExt as _;
    use tokio::io::AsyncWriteExt as _;

    const HERE: &str = "127.0.0.1:1000";

    async fn enter(slots: &Slots, peer: &str) -> Option<(Slot, Arc<ConnectionActivity>)> {
        let pulse = ConnectionActivity::new();
        let slot = slots.enter(peer.parse().unwrap(), &pulse).await?;
        Some((slot, pulse))
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_loses_its_connection() {
        let (ours, _theirs) = tokio::io::duplex(64);
        let mut stream = WriteTimeout::new(ours, ConnectionActivity::new());
        let begun = Instant::now();
        let error = stream.write_all(&[0; 1000]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() >= HTTP_WRITE && begun.elapsed() < HTTP_WRITE * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn the_one_that_is_idle_the_longest_makes_room_and_no_other() {
        let slots = Slots::new(3);
        let first = enter(&slots, HERE).await.unwrap();
        tokio::time::advance(Duration::from_millis(10)).await;
        let second = enter(&slots, HERE).await.unwrap();
        let third = enter(&slots, HERE).await.unwrap();
        // The first waits for us; the second did nothing; the third just sent something.
        let _working = first.1.work();
        tokio::time::advance(HTTP_IDLE).await;
        third.1.moved();
        let closed = second.0.close.clone();
        let gone = tokio::spawn(async move {
            second.0.close.cancelled().await;
            drop(second);
        });
        let _fourth = enter(&slots, HERE).await.unwrap();
        gone.await.unwrap();
        assert!(closed.is_cancelled() && !first.0.close.is_cancelled() && !third.0.close.is_cancelled());
        // Where nobody is idle it waits.
        first.1.moved();
        assert!(enter(&slots, HERE).now_or_never().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn half_a_request_is_nobodys_work() {
        let slots = Slots::new(1);
        let (slot, pulse) = enter(&slots, HERE).await.unwrap();
        let working = pulse.work();
        let (send, receive) = tokio::sync::mpsc::unbounded_channel::<Result<Frame<bytes::Bytes>, io::Error>>();
        let body = futures::stream::unfold(receive, |mut receive| async { Some((receive.recv().await?, receive)) });
        let mut body = FromClient::new(http_body_util::StreamBody::new(Box::pin(body)), Arc::clone(&pulse));
        let mut cx = Context::from_waker(std::task::Waker::noop());
        tokio::time::advance(HTTP_IDLE).await;
        assert_eq!(pulse.idle(), None, "nothing was asked of the client yet");
        assert!(Pin::new(&mut body).poll_frame(&mut cx).is_pending());
        assert!(pulse.idle().unwrap() >= HTTP_IDLE);
        send.send(Ok(Frame::data("more".into()))).unwrap();
        assert!(Pin::new(&mut body).poll_frame(&mut cx).is_ready());
        assert_eq!(pulse.idle(), None, "what came is worked on");
        assert!(Pin::new(&mut body).poll_frame(&mut cx).is_pending());
        let gone = tokio::spawn(async move {
            slot.close.cancelled().await;
            drop((slot, body, working));
        });
        let second = enter(&slots, HERE).await.unwrap();
        gone.await.unwrap();
        assert_eq!(
            (second.1.idle().is_some(), pulse.awaiting.load(Ordering::Relaxed)),
            (true, 0)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn no_network_takes_the_share_of_another_nor_that_of_this_machine() {
        let most = 64;
        let slots = Slots::new(most);
        let mut all = Vec::new();
        // Each of them is busy.
        let mut open = async |peer: &str| {
            let entered = enter(&slots, peer).now_or_never().flatten()?;
            let working = entered.1.work();
            all.push((entered, working));
            Some(())
        };
        let mut of_one = 0;
        while open("203.0.113.9:1").await.is_some() {
            of_one += 1;
        }
        assert_eq!(of_one, most / CONNECTIONS_OF_A_NETWORK);
        assert!(open("203.0.113.10:1").await.is_none(), "the same network");
        for n in 0..most {
            let _ = open(&format!("198.51.{n}.1:1")).await;
        }
        let mut here = 0;
        while open(HERE).await.is_some() {
            here += 1;
        }
        assert_eq!(here, most / CONNECTIONS_OF_THIS_MACHINE);
    }
}
