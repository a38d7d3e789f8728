//! From a host's channel to a plugin's stream. The plugin's reads pull; a full channel holds the source back.

use bytes::Bytes;
use nexus_model::limits;
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use wasmtime::component::{Destination, Lift, Lower, StreamProducer, StreamResult, VecBuffer};
use wasmtime::{AsContextMut, StoreContextMut};

/// `Chunks` is where chunks of bytes come from. `None` is the end.
pub(super) trait Chunks: Send + Unpin + 'static {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>>;
}

impl Chunks for mpsc::Receiver<Bytes> {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.poll_recv(cx)
    }
}

/// `ByteProducer` makes a `stream<u8>`. Bytes are copied once, straight into the plugin's memory.
pub(super) struct ByteProducer<C> {
    source: C,
    rest: Bytes,
    _place: OwnedSemaphorePermit,
}

impl<C> ByteProducer<C> {
    pub(super) fn new(source: C, place: OwnedSemaphorePermit) -> Self {
        Self {
            source,
            rest: Bytes::new(),
            _place: place,
        }
    }
}

impl<C: Chunks, D: 'static> StreamProducer<D> for ByteProducer<C> {
    type Item = u8;
    type Buffer = VecBuffer<u8>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, D>,
        destination: Destination<'a, u8, VecBuffer<u8>>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        while self.rest.is_empty() {
            match self.source.poll_chunk(cx) {
                Poll::Ready(Some(chunk)) => self.rest = chunk,
                Poll::Ready(None) => return Poll::Ready(Ok(StreamResult::Dropped)),
                Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
                Poll::Pending => return Poll::Pending,
            }
        }
        // A read of no bytes only asks whether there are any.
        if destination.remaining(store.as_context_mut()) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let mut direct = destination.as_direct(store, self.rest.len());
        let room = direct.remaining();
        let length = room.len().min(self.rest.len());
        let chunk = self.rest.split_to(length);
        if let Some(room) = room.get_mut(..length) {
            room.copy_from_slice(&chunk);
        }
        direct.mark_written(length);
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

/// `ItemProducer` makes a `stream<T>` of small records.
pub(super) struct ItemProducer<S, T> {
    source: mpsc::Receiver<S>,
    convert: fn(S) -> T,
    ready: VecDeque<S>,
    _place: OwnedSemaphorePermit,
}

impl<S, T> ItemProducer<S, T> {
    pub(super) fn new(source: mpsc::Receiver<S>, convert: fn(S) -> T, place: OwnedSemaphorePermit) -> Self {
        Self {
            source,
            convert,
            ready: VecDeque::new(),
            _place: place,
        }
    }
}

impl<S, T, D> StreamProducer<D> for ItemProducer<S, T>
where
    S: Send + Unpin + 'static,
    T: Lift + Lower + Send + Sync + Unpin + 'static,
    D: 'static,
{
    type Item = T;
    type Buffer = VecBuffer<T>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, D>,
        mut destination: Destination<'a, T, VecBuffer<T>>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        if self.ready.is_empty() {
            let mut batch = Vec::new();
            match self.source.poll_recv_many(cx, &mut batch, limits::LINES_BATCH) {
                Poll::Ready(0) => return Poll::Ready(Ok(StreamResult::Dropped)),
                Poll::Ready(_) => self.ready.extend(batch),
                Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
                Poll::Pending => return Poll::Pending,
            }
        }
        let room = destination
            .remaining(store.as_context_mut())
            .unwrap_or(limits::LINES_BATCH)
            .min(self.ready.len());
        if room > 0 {
            let convert = self.convert;
            let items: Vec<T> = self.ready.drain(..room).map(convert).collect();
            destination.set_buffer(items.into());
        }
        Poll::Ready(Ok(StreamResult::Completed))
    }
}
