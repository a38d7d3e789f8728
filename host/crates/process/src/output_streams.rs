//! What becomes of a child's output.

use crate::error::ProcessError;
use crate::limits;
use crate::output_log::{OutputLog, Splitter};
use bytes::{Bytes, BytesMut};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::mpsc;

pub(super) type Stream = Box<dyn AsyncRead + Send + Unpin>;

/// Reads lines into the log until the last holder of the stream has closed it.
pub(super) async fn log(mut from: Stream, stderr: bool, log: OutputLog) {
    let (mut splitter, mut buffer) = (Splitter::default(), BytesMut::with_capacity(limits::PROCESS_CHUNK));
    while matches!(from.read_buf(&mut buffer).await, Ok(1..)) {
        splitter.push(&buffer, |line| log.push(stderr, line));
        buffer.clear();
    }
    splitter.finish(|line| log.push(stderr, line));
}

/// `Capture` is the beginning of a stream; the rest is read too, so that nobody waits for us.
#[derive(Debug, Clone, Default)]
pub(super) struct Capture(Arc<Mutex<Vec<u8>>>);

impl Capture {
    pub(super) async fn fill(self, mut from: Stream) {
        let mut buffer = BytesMut::with_capacity(limits::PROCESS_CHUNK);
        while matches!(from.read_buf(&mut buffer).await, Ok(1..)) {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let room = limits::PROCESS_RUN_OUTPUT.saturating_sub(kept.len()).min(buffer.len());
            kept.extend(buffer.iter().take(room));
            drop(kept);
            buffer.clear();
        }
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

/// `Pipe` is a stream of mode `pipe`: it is read only while somebody takes it, by one reader at a time. A reader that
/// goes leaves the rest to the next one, all but the one chunk that was already on its way to it.
#[derive(Clone)]
pub(super) struct Pipe(Arc<Mutex<Option<Source>>>);

struct Source {
    stream: Stream,
    /// `pending` was read, but the reader was gone.
    pending: Option<Bytes>,
}

impl Pipe {
    pub(super) fn new(stream: Stream) -> Self {
        Self(Arc::new(Mutex::new(Some(Source { stream, pending: None }))))
    }

    pub(super) fn read(&self) -> Result<mpsc::Receiver<Bytes>, ProcessError> {
        let mut source = self.slot().take().ok_or_else(|| {
            ProcessError::Invalid("this output already has a reader; only one is allowed at a time".to_owned())
        })?;
        let (sender, receiver) = mpsc::channel(1);
        let pipe = self.clone();
        tokio::spawn(async move {
            hand_over(&mut source, &sender).await;
            *pipe.slot() = Some(source);
        });
        Ok(receiver)
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Source>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands the stream over until its end, or until the reader goes.
async fn hand_over(source: &mut Source, sender: &mpsc::Sender<Bytes>) {
    loop {
        let chunk = match source.pending.take() {
            Some(chunk) => chunk,
            None => {
                let mut buffer = BytesMut::with_capacity(limits::PROCESS_CHUNK);
                tokio::select! {
                    () = sender.closed() => return,
                    read = source.stream.read_buf(&mut buffer) => match read {
                        Ok(1..) => buffer.freeze(),
                        Ok(0) | Err(_) => return,
                    }
                }
            }
        };
        if let Err(unsent) = sender.send(chunk).await {
            source.pending = Some(unsent.0);
            return;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A stream that never stops by itself.
    fn endless(bytes: u64) -> Stream {
        Box::new(tokio::io::repeat(b'x').take(bytes))
    }

    #[tokio::test]
    async fn what_is_kept_of_a_run_has_an_end_and_all_of_it_is_read() {
        let capture = Capture::default();
        capture.clone().fill(endless(100 << 20)).await;
        assert_eq!(capture.text().len(), limits::PROCESS_RUN_OUTPUT);
    }

    #[tokio::test]
    async fn a_pipe_is_read_in_chunks_that_wait_for_their_reader() {
        let pipe = Pipe::new(endless(1 << 40));
        let mut chunks = pipe.read().unwrap();
        for _ in 0..100 {
            let chunk = nexus_testkit::wait::within("the next chunk", chunks.recv())
                .await
                .unwrap();
            assert!(chunk.len() <= limits::PROCESS_CHUNK, "{}", chunk.len());
        }
        // Were it read ahead of its reader, all of it would be here by and by.
        assert!(chunks.len() <= 1, "{}", chunks.len());
    }
}
