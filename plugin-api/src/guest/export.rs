//! How a plugin exports its type.

/// Exports a type that implements [`tunnel::Guest`](crate::tunnel::Guest).
#[cfg(feature = "tunnel")]
#[macro_export]
macro_rules! export_tunnel {
    ($plugin:ident) => {
        $crate::__export!($plugin, tunnel);
    };
}

/// Exports a type that implements [`chat::Guest`](crate::chat::Guest), and the `Guest` of each optional interface that is
/// named: `export_chat!(Plugin with sessions, history, models)`.
#[cfg(feature = "chat")]
#[macro_export]
macro_rules! export_chat {
    ($plugin:ident $(with $($optional:ident),+)?) => {
        $crate::__export!($plugin, chat $($(, $optional)+)?);
    };
}

/// Exports a type that implements [`auth::Guest`](crate::auth::Guest), and the `Guest` of each optional interface that is
/// named: `export_auth!(Plugin with manage)`.
#[cfg(feature = "auth")]
#[macro_export]
macro_rules! export_auth {
    ($plugin:ident $(with $($optional:ident),+)?) => {
        $crate::__export!($plugin, auth $($(, $optional)+)?);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($plugin:ident $(, $interface:ident)+) => {
        $(
            // A native linker rejects the names of these symbols.
            #[cfg(target_arch = "wasm32")]
            $crate::$interface::__world::export_world!($plugin with_types_in $crate::$interface::__world);
            const _: fn() = || {
                fn implements<T: $crate::$interface::Guest>() {}
                implements::<$plugin>();
            };
        )+
    };
}
