//! The bindings of the made-up minor. What is as in the newest one is that one's; the rest has types of its own.
#![allow(unreachable_pub)] // bindgen re-exports what it is given

pub mod caps {
    wasmtime::component::bindgen!({
        path: "src/minors/test_0_3/wit",
        world: "capabilities",
        imports: {
            "nexus:plugin/http.fetch": async | store | trappable,
            default: trappable,
        },
        with: { "nexus:plugin/types": crate::bindings::caps::types },
    });
    pub use nexus::plugin::{http, log, store};
}

pub mod tunnel {
    wasmtime::component::bindgen!({
        path: "src/minors/test_0_3/wit",
        world: "tunnel-provider",
        imports: { default: trappable },
        exports: { default: async | store },
        with: {
            "nexus:plugin/types": crate::bindings::caps::types,
            "nexus:plugin/log": super::caps::log,
            "nexus:plugin/store": super::caps::store,
            "nexus:plugin/http": super::caps::http,
        },
    });
}
