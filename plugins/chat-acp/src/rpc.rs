//! JSON-RPC 2.0, one message a line.

use nexus_plugin_api::json;
use serde_json::Value;

/// `METHOD_NOT_FOUND` is the code of an error for a method that is not offered.
pub const METHOD_NOT_FOUND: i64 = -32_601;
/// `CANCELLED` is the code of an error for a request that the other side took back.
pub const CANCELLED: i64 = -32_800;
/// `INTERNAL` is the code of an error for which there is no other one.
pub const INTERNAL: i64 = -32_603;

/// `Message` is what the other side sent.
#[derive(Debug, PartialEq)]
pub enum Message {
    /// `Response` answers the request of this id.
    Response {
        id: u64,
        result: Result<Value, RpcError>,
    },
    /// `Request` waits for an answer with its `id`, which may be any value.
    Request {
        id: Value,
        method: String,
        params: Value,
    },
    Notification {
        method: String,
        params: Value,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub struct RpcError {
    pub code: i64,
    pub message: String,
    /// `data` is what the other side adds: often the cause.
    pub data: Option<Value>,
}

impl RpcError {
    /// `text` is the message with its cause, where the data has one.
    pub fn text(&self) -> String {
        let data = self.data.as_ref();
        let cause = data.and_then(|data| {
            let of = |key: &str| data.get(key).and_then(Value::as_str);
            data.as_str().or(of("details")).or(of("message")).or(of("error"))
        });
        match cause {
            Some(cause) if !cause.is_empty() && !self.message.contains(cause) => format!("{}: {cause}", self.message),
            _ => self.message.clone(),
        }
    }
}

/// Reads a line.
///
/// # Errors
/// Why it is no message.
pub fn read(line: &[u8]) -> Result<Message, String> {
    let value: Value = serde_json::from_str(&json::well_formed(line)).map_err(|e| format!("it is no JSON: {e}"))?;
    let Value::Object(mut object) = value else {
        return Err("it is no JSON object".to_owned());
    };
    let method = match object.remove("method") {
        Some(Value::String(method)) => Some(method),
        Some(_) => return Err("its `method` is no text".to_owned()),
        None => None,
    };
    let id = object.remove("id").filter(|id| !id.is_null());
    if let Some(method) = method {
        let params = object.remove("params").unwrap_or_default();
        return Ok(match id {
            Some(id) => Message::Request { id, method, params },
            None => Message::Notification { method, params },
        });
    }
    let Some(id) = id.as_ref().and_then(Value::as_u64) else {
        return Err("it is neither a request nor the answer to one of ours".to_owned());
    };
    let result = match object.remove("error").filter(|error| !error.is_null()) {
        Some(error) => Err(RpcError {
            code: error.get("code").and_then(Value::as_i64).unwrap_or(INTERNAL),
            message: match error.get("message").and_then(Value::as_str) {
                Some(message) if !message.trim().is_empty() => message.to_owned(),
                _ => "an error without a message".to_owned(),
            },
            data: error.get("data").cloned(),
        }),
        None => Ok(object.remove("result").unwrap_or_default()),
    };
    Ok(Message::Response { id, result })
}

fn line(value: &Value) -> Vec<u8> {
    let mut line = value.to_string().into_bytes();
    line.push(b'\n');
    line
}

pub fn request(id: u64, method: &str, params: &Value) -> Vec<u8> {
    line(&serde_json::json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
}

pub fn notification(method: &str, params: &Value) -> Vec<u8> {
    line(&serde_json::json!({"jsonrpc": "2.0", "method": method, "params": params}))
}

pub fn answer(id: &Value, result: &Value) -> Vec<u8> {
    line(&serde_json::json!({"jsonrpc": "2.0", "id": id, "result": result}))
}

pub fn refusal(id: &Value, code: i64, message: &str) -> Vec<u8> {
    line(&serde_json::json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}}))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_kinds_of_messages_are_told_apart() {
        let read = |value: Value| read(value.to_string().as_bytes());
        assert_eq!(
            read(json!({"jsonrpc": "2.0", "id": 3, "result": null})).unwrap(),
            Message::Response {
                id: 3,
                result: Ok(Value::Null)
            }
        );
        assert!(matches!(
            read(json!({"id": "a", "method": "m", "params": {}})).unwrap(),
            Message::Request { id, .. } if id == json!("a")
        ));
        assert!(matches!(
            read(json!({"method": "m", "id": null})).unwrap(),
            Message::Notification { .. }
        ));
        for garbage in [
            json!([]),
            json!({"id": "a", "result": 1}),
            json!({"result": 1}),
            json!({"method": 7}),
            json!(3),
        ] {
            assert!(read(garbage).is_err());
        }
        assert!(super::read(b"Downloading model\xff").is_err());
    }

    #[test]
    fn an_error_names_its_cause() {
        let text = |error: Value| match read(json!({"id": 1, "error": error}).to_string().as_bytes()).unwrap() {
            Message::Response { result: Err(error), .. } => error.text(),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            text(json!({"code": 1, "message": "Internal error", "data": {"details": "no key"}})),
            "Internal error: no key"
        );
        assert_eq!(
            text(json!({"code": 1, "message": "no key", "data": "no key"})),
            "no key"
        );
        assert_eq!(text(json!(7)), "an error without a message");
    }

    #[test]
    fn what_is_written_is_one_line() {
        for line in [
            request(1, "m", &json!({"text": "a\nb"})),
            notification("m", &Value::Null),
            answer(&json!("x"), &Value::Null),
            refusal(&json!(1), METHOD_NOT_FOUND, "no\nsuch"),
        ] {
            assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
            assert!(line.ends_with(b"\n") && serde_json::from_slice::<Value>(&line).unwrap()["jsonrpc"] == "2.0");
        }
    }
}
