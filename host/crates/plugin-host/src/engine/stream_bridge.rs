//! From a plugin's streams and futures to the host's channels, and back for `cancel`. A channel's capacity is what
//! holds a plugin back: nothing is dropped.

use super::instance_state::InstanceState;
use crate::bindings::caps::types;
use nexus_model::limits;
use nexus_plugin_traits::CancelReason;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::PollSender;
use wasmtime::StoreContextMut;
use wasmtime::component::{
    Accessor, FutureConsumer, FutureReader, Lift, Source, StreamConsumer, StreamReader, StreamResult,
};

/// `LongCall` is the host's end of a long call.
pub(crate) struct LongCall<T, R> {
    pub(crate) events: mpsc::Receiver<Vec<T>>,
    /// `outcome` is an `Err` where the plugin gave none.
    pub(crate) outcome: oneshot::Receiver<R>,
    /// `cancel` cancels the call when it is sent or dropped.
    pub(crate) cancel: oneshot::Sender<CancelReason>,
}

/// `cancel` is one for a plugin that completes when the sender is used, or dropped: then for the reason `stop`.
pub(crate) fn cancel(
    a: &Accessor<InstanceState>,
) -> wasmtime::Result<(oneshot::Sender<CancelReason>, FutureReader<types::CancelReason>)> {
    let (tx, rx) = oneshot::channel();
    let reader = a.with(|s| {
        FutureReader::new(s, async move {
            Ok::<_, wasmtime::Error>(match rx.await.unwrap_or(CancelReason::Stop) {
                CancelReason::Stop => types::CancelReason::Stop,
                CancelReason::Replace => types::CancelReason::Replace,
                CancelReason::HostEnds => types::CancelReason::HostEnds,
            })
        })
    })?;
    Ok((tx, reader))
}

/// Connects what a long call returned to channels. `convert` makes each batch of the plugin's events one of the host's.
pub(crate) fn connect<T, E, R>(
    a: &Accessor<InstanceState>,
    stream: StreamReader<T>,
    outcome: FutureReader<R>,
    cancel: oneshot::Sender<CancelReason>,
    convert: fn(Vec<T>) -> Vec<E>,
) -> wasmtime::Result<LongCall<E, R>>
where
    T: Lift + Send + 'static,
    E: Send + 'static,
    R: Lift + Send + 'static,
{
    let (tx, events) = mpsc::channel(limits::STREAM_BATCHES);
    let (end, ended) = oneshot::channel();
    a.with(|mut s| {
        let to = PollSender::new(tx);
        stream.pipe(&mut s, ToChannel { to, convert })?;
        outcome.pipe(&mut s, ToOneshot(Some(end)))
    })?;
    Ok(LongCall {
        events,
        outcome: ended,
        cancel,
    })
}

struct ToChannel<T, E> {
    to: PollSender<Vec<E>>,
    convert: fn(Vec<T>) -> Vec<E>,
}

impl<D, T: Lift + Send + 'static, E: Send + 'static> StreamConsumer<D> for ToChannel<T, E> {
    type Item = T;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'_, D>,
        mut source: Source<'_, T>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        match self.to.poll_reserve(cx) {
            Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
            reserved => {
                if ready!(reserved).is_err() {
                    return Poll::Ready(Ok(StreamResult::Dropped));
                }
            }
        }
        let mut batch = Vec::with_capacity(source.remaining(&mut store).clamp(1, limits::STREAM_BATCH));
        source.read(store, &mut batch)?;
        let batch = (self.convert)(batch);
        nexus_model::event_trace::Hop::Lifted.reached();
        // The place was reserved above; without an event it is kept for the next.
        if !batch.is_empty() && self.to.send_item(batch).is_err() {
            return Poll::Ready(Ok(StreamResult::Dropped));
        }
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

struct ToOneshot<R>(Option<oneshot::Sender<R>>);

impl<D, R: Lift + Send + 'static> FutureConsumer<D> for ToOneshot<R> {
    type Item = R;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        mut source: Source<'_, R>,
        _: bool,
    ) -> Poll<wasmtime::Result<()>> {
        let mut value = None;
        source.read(store, &mut value)?;
        if let (Some(value), Some(to)) = (value, self.0.take()) {
            // Nobody may wait for it any more.
            let _ = to.send(value);
        }
        Poll::Ready(Ok(()))
    }
}
