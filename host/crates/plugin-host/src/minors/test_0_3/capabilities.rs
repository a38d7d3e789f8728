//! What a component of the made-up minor calls: conversions, and the newest minor's code. Nothing is decided here.

use super::bindings::caps as wit;
use crate::bindings::caps as newest;
use crate::bindings::caps::types::Error;
use crate::capabilities::{Capabilities, Granted};
use wasmtime::component::{Accessor, FutureReader, StreamReader};

type HostResult<T> = wasmtime::Result<Result<T, Error>>;

impl wit::log::Host for Capabilities {
    fn write(&mut self, level: wit::log::Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            wit::log::Level::Debug => newest::log::Level::Debug,
            wit::log::Level::Info => newest::log::Level::Info,
            wit::log::Level::Warn => newest::log::Level::Warn,
            wit::log::Level::Error => newest::log::Level::Error,
        };
        newest::log::Host::write(self, level, message)
    }
}

impl wit::store::Host for Capabilities {}

impl<T: Send + 'static> wit::store::HostWithStore<T> for Granted {
    async fn get(a: &Accessor<T, Self>, key: String) -> HostResult<Option<Vec<u8>>> {
        <Self as newest::store::HostWithStore<T>>::get(a, key).await
    }

    async fn set(a: &Accessor<T, Self>, key: String, value: Vec<u8>) -> HostResult<()> {
        <Self as newest::store::HostWithStore<T>>::set(a, key, value).await
    }

    async fn get_many(a: &Accessor<T, Self>, keys: Vec<String>) -> HostResult<Vec<Option<Vec<u8>>>> {
        let mut values = Vec::new();
        for key in keys {
            match <Self as newest::store::HostWithStore<T>>::get(a, key).await? {
                Ok(value) => values.push(value),
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(values))
    }
}

impl wit::http::Host for Capabilities {}

impl<T: Send + 'static> wit::http::HostWithStore<T> for Granted {
    async fn fetch(
        a: &Accessor<T, Self>,
        request: wit::http::Request,
    ) -> HostResult<(wit::http::Response, StreamReader<u8>, FutureReader<Result<(), Error>>)> {
        let headers = request.headers.into_iter();
        let request = newest::http::Request {
            method: request.method,
            url: request.url,
            headers: headers
                .map(|h| newest::http::Header {
                    name: h.name,
                    value: h.value,
                })
                .collect(),
            body: request.body,
            timeout: request.times.headers,
            idle_timeout: request.times.idle,
        };
        let answer = <Self as newest::http::HostWithStore<T>>::fetch(a, request).await?;
        Ok(answer.map(|(response, body, end)| {
            let headers = response.headers.into_iter();
            let response = wit::http::Response {
                status: response.status,
                headers: headers
                    .map(|h| wit::http::Header {
                        name: h.name,
                        value: h.value,
                    })
                    .collect(),
            };
            (response, body, end)
        }))
    }
}
