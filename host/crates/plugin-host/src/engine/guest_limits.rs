//! What one store may use: memory, tables and instances. (Its CPU is in [`super::cpu_meter`].)

use crate::plugin_stats::Counters;
use nexus_config::resolved::Limits;
use nexus_model::limits;
use std::sync::Arc;
use wasmtime::ResourceLimiter;

/// `OF_MEMORY` are the words in the text of a trap by which this limit is known, which an operator may raise.
pub(crate) const OF_MEMORY: &str = "bytes of memory";

/// `handles` is how many handles a store may hold at once: ends of streams and futures, calls, waitable sets,
/// resources. A guest makes them by itself, and each takes some hundred bytes of the host. Each call or stream of the
/// host that `limits.streams` admits needs a few; a guest that joins many small tasks of its own needs more.
pub(crate) fn handles(limits: &Limits) -> usize {
    (limits.streams as usize).saturating_mul(8).saturating_add(4096)
}

/// `resources` is how many resources of WASI a store may hold at once: streams, what they are waited for with, headers and
/// bodies of requests, of which one may hold some ten thousand bytes of the host. A request with its response takes a dozen.
pub(crate) fn resources(limits: &Limits) -> usize {
    (limits.streams as usize).saturating_mul(16).saturating_add(256)
}

/// `handed_over` is how many bytes a guest may hand over in one go. What is more than its memory can only be the same
/// bytes again and again: a list of a million strings may be one string. (The engine's own limit, 128 MiB, holds for
/// every store alike.)
pub(crate) fn handed_over(limits: &Limits) -> usize {
    usize::try_from(limits.memory)
        .unwrap_or(usize::MAX)
        .min(limits::PLUGIN_HANDED_OVER)
}

/// `Limiter` counts over all memories and tables of a store.
#[derive(Debug)]
pub(crate) struct Limiter {
    memory: usize,
    used: usize,
    elements: usize,
    last_growth: usize,
    counters: Arc<Counters>,
    /// `refused` is what was refused last, for the cause of the trap that follows.
    pub(crate) refused: Option<String>,
}

impl Limiter {
    pub(crate) fn new(limits: &Limits, counters: Arc<Counters>) -> Self {
        let memory = usize::try_from(limits.memory).unwrap_or(usize::MAX);
        Self {
            memory,
            used: 0,
            elements: 0,
            last_growth: 0,
            counters,
            refused: None,
        }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let growth = desired.saturating_sub(current);
        let wanted = self.used.saturating_add(growth);
        if wanted > self.memory {
            self.refused = Some(format!(
                "it requested {wanted} {OF_MEMORY}, but its limit is {}",
                self.memory
            ));
            return Ok(false);
        }
        self.used = wanted;
        self.last_growth = growth;
        self.counters.memory(wanted);
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.used = self.used.saturating_sub(std::mem::take(&mut self.last_growth));
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = self.elements.saturating_add(desired.saturating_sub(current));
        if wanted > limits::PLUGIN_TABLE_ELEMENTS {
            self.refused = Some(format!(
                "it requested {wanted} table elements, but the limit is {}",
                limits::PLUGIN_TABLE_ELEMENTS
            ));
            return Ok(false);
        }
        self.elements = wanted;
        Ok(true)
    }

    fn instances(&self) -> usize {
        limits::PLUGIN_INSTANCES
    }
    fn tables(&self) -> usize {
        limits::PLUGIN_TABLES
    }
    fn memories(&self) -> usize {
        limits::PLUGIN_MEMORIES
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::time::Duration;
    use wasmtime::Store;

    fn limits(memory: u64) -> Limits {
        Limits {
            memory,
            cpu: Duration::from_secs(1),
            cpu_share: 100,
            call: Duration::from_secs(1),
            streams: 1,
            processes: 1,
            log_lines: 1,
        }
    }

    #[test]
    fn memory_is_counted_over_all_memories() {
        let mut limiter = Limiter::new(&limits(100), Arc::default());
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(!limiter.memory_growing(0, 60, None).unwrap());
        assert!(limiter.refused.take().unwrap().contains("120 bytes"));
        assert!(limiter.memory_growing(60, 100, None).unwrap());
        limiter.memory_grow_failed(wasmtime::format_err!("no")).unwrap();
        assert!(limiter.memory_growing(0, 40, None).unwrap());
    }

    #[test]
    fn tables_instances_and_memories_have_an_end() {
        let mut limiter = Limiter::new(&limits(100), Arc::default());
        assert!(
            limiter
                .table_growing(0, limits::PLUGIN_TABLE_ELEMENTS - 1, None)
                .unwrap()
        );
        assert!(limiter.table_growing(0, 1, None).unwrap());
        assert!(!limiter.table_growing(0, 1, None).unwrap(), "over all tables");
        // Each of them in a module of its own, so many times.
        let made = |what: &str, count: usize| {
            let engine = wasmtime::Engine::default();
            let many = "(core instance (instantiate $m))".repeat(count);
            let text = format!("(component (core module $m {what}) {many})");
            let component = wasmtime::component::Component::new(&engine, wat::parse_str(text).unwrap()).unwrap();
            let mut store = Store::new(&engine, Limiter::new(&limits(1 << 30), Arc::default()));
            store.limiter(|limiter| limiter);
            let linker = wasmtime::component::Linker::new(&engine);
            linker
                .instantiate(&mut store, &component)
                .map(|_| ())
                .map_err(|e| format!("{e:#}"))
        };
        for (what, most) in [
            ("", limits::PLUGIN_INSTANCES),
            ("(table 1 funcref)", limits::PLUGIN_TABLES),
            ("(memory 1)", limits::PLUGIN_MEMORIES),
        ] {
            assert_eq!(made(what, most), Ok(()), "{what}");
            let refused = made(what, most + 1).unwrap_err();
            assert!(
                refused.contains(&format!("count too high at {}", most + 1)),
                "{refused}"
            );
        }
    }
}
