//! How a plugin exports its type.

/// Exports a type that implements [`tunnel::Guest`](crate::tunnel::Guest).
#[cfg(feature = "tunnel")]
#[macro_export]
macro_rules! export_tunnel {
    ($plugin:ident) => {
        // A native linker rejects the names of these symbols.
        #[cfg(target_arch = "wasm32")]
        $crate::tunnel::__world::export_world!($plugin with_types_in $crate::tunnel::__world);
        const _: fn() = || {
            fn implements<T: $crate::tunnel::Guest>() {}
            implements::<$plugin>();
        };
    };
}

/// Exports a type that implements [`chat::Guest`](crate::chat::Guest).
#[cfg(feature = "chat")]
#[macro_export]
macro_rules! export_chat {
    ($plugin:ident) => {
        // A native linker rejects the names of these symbols.
        #[cfg(target_arch = "wasm32")]
        $crate::chat::__world::export_world!($plugin with_types_in $crate::chat::__world);
        const _: fn() = || {
            fn implements<T: $crate::chat::Guest>() {}
            implements::<$plugin>();
        };
    };
}

/// Exports a type that implements [`chat::Guest`](crate::chat::Guest) and [`sessions::Guest`](crate::sessions::Guest).
#[cfg(feature = "chat")]
#[macro_export]
macro_rules! export_chat_with_sessions {
    ($plugin:ident) => {
        $crate::export_chat!($plugin);
        // A native linker rejects the names of these symbols.
        #[cfg(target_arch = "wasm32")]
        $crate::sessions::__world::export_world!($plugin with_types_in $crate::sessions::__world);
        const _: fn() = || {
            fn implements<T: $crate::sessions::Guest>() {}
            implements::<$plugin>();
        };
    };
}

/// Exports a type that implements [`auth::Guest`](crate::auth::Guest).
#[cfg(feature = "auth")]
#[macro_export]
macro_rules! export_auth {
    ($plugin:ident) => {
        // A native linker rejects the names of these symbols.
        #[cfg(target_arch = "wasm32")]
        $crate::auth::__world::export_world!($plugin with_types_in $crate::auth::__world);
        const _: fn() = || {
            fn implements<T: $crate::auth::Guest>() {}
            implements::<$plugin>();
        };
    };
}

/// Exports a type that implements [`auth::Guest`](crate::auth::Guest) and [`manage::Guest`](crate::manage::Guest).
#[cfg(feature = "auth")]
#[macro_export]
macro_rules! export_auth_with_manage {
    ($plugin:ident) => {
        $crate::export_auth!($plugin);
        // A native linker rejects the names of these symbols.
        #[cfg(target_arch = "wasm32")]
        $crate::manage::__world::export_world!($plugin with_types_in $crate::manage::__world);
        const _: fn() = || {
            fn implements<T: $crate::manage::Guest>() {}
            implements::<$plugin>();
        };
    };
}
