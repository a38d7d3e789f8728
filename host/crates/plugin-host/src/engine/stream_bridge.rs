//! From a plugin's streams and futures to the host's queues, and back for `cancel`. A queue that is full is what holds a
//! plugin back: nothing is dropped.

use super::event_queue::{Entrance, Exit, Item, event_queue};
use super::instance_state::InstanceState;
use crate::bindings::caps::types;
use nexus_model::limits;
use nexus_plugin_traits::CancelReason;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::sync::oneshot;
use wasmtime::StoreContextMut;
use wasmtime::component::{
    Accessor, FutureConsumer, FutureReader, Lift, Source, StreamConsumer, StreamReader, StreamResult,
};

/// `LongCall` is the host's end of a long call.
pub(crate) struct LongCall<T, R> {
    pub(crate) events: Exit<T>,
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

/// Connects what a long call returned to the host. `convert` makes of an event of the plugin those of the
/// host.
pub(crate) fn connect<T, E, I, R>(
    a: &Accessor<InstanceState>,
    stream: StreamReader<T>,
    outcome: FutureReader<R>,
    cancel: oneshot::Sender<CancelReason>,
    convert: fn(T) -> I,
) -> wasmtime::Result<LongCall<E, R>>
where
    T: Lift + Unpin + Send + 'static,
    E: Item + Send + 'static,
    I: IntoIterator<Item = E> + 'static,
    R: Lift + Send + 'static,
{
    let (to, events) = event_queue();
    let (end, ended) = oneshot::channel();
    a.with(|mut s| {
        let read = Vec::new();
        stream.pipe(&mut s, ToQueue { to, read, convert })?;
        outcome.pipe(&mut s, ToOneshot(Some(end)))
    })?;
    Ok(LongCall {
        events,
        outcome: ended,
        cancel,
    })
}

struct ToQueue<T, E, I> {
    to: Entrance<E>,
    /// `read` is what one write has brought, until it is converted.
    read: Vec<T>,
    convert: fn(T) -> I,
}

impl<D, T, E, I> StreamConsumer<D> for ToQueue<T, E, I>
where
    T: Lift + Unpin + Send + 'static,
    E: Item + Send + 'static,
    I: IntoIterator<Item = E> + 'static,
{
    type Item = T;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'_, D>,
        mut source: Source<'_, T>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        match self.to.poll_room(cx) {
            Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
            room => {
                if ready!(room).is_err() {
                    return Poll::Ready(Ok(StreamResult::Dropped));
                }
            }
        }
        let ToQueue { to, read, convert } = &mut *self;
        // No more is read than there is room for.
        read.reserve_exact(source.remaining(&mut store).clamp(1, limits::STREAM_BATCH));
        source.read(store, read)?;
        nexus_model::event_trace::Hop::Lifted.reached();
        to.add(read.drain(..).flat_map(*convert));
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
