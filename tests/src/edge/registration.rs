//! The edge's side of the control stream: cloudflared calls `registerConnection`, `updateLocalConfiguration` and, at its
//! end, `unregisterConnection` (its `tunnelrpc.capnp`, over the RPC of <https://capnproto.org/rpc.html>).

use super::capnp::{frame, take, to_bytes, to_struct, words};

const REGISTRATION_SERVER: u64 = 0xf716_95ec_7fe8_5497;
const CALL: u64 = 2;
const BOOTSTRAP: u64 = 8;
/// Of a capability in a payload, the first of its table.
const CAPABILITY: u64 = 3;

/// What cloudflared asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The first thing: an object to call.
    Bootstrap,
    Register {
        tunnel: Vec<u8>,
        index: u8,
    },
    Unregister,
    /// Its own ingress rules, as JSON.
    Configuration,
    /// Calls that the edge does not know.
    Other,
}

/// A question that wants an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) id: u32,
    pub(super) asked: Asked,
}

/// Takes the next question out of what has arrived; messages that want no answer are passed over.
pub(super) fn question(arrived: &mut Vec<u8>) -> Option<Question> {
    loop {
        let message = take(arrived)?;
        let Some(root) = message.root() else { continue };
        let Some(body) = root.child(0) else { continue };
        let id = body.number(0, 32) as u32;
        let asked = match root.number(0, 16) {
            BOOTSTRAP => Asked::Bootstrap,
            CALL => {
                let method = body.number(32, 16);
                let params = body.child(1).and_then(|payload| payload.child(0));
                match (body.number(64, 64), method) {
                    (REGISTRATION_SERVER, 0) => Asked::Register {
                        tunnel: params.and_then(|params| params.bytes(1)).unwrap_or_default(),
                        index: params.map_or(0, |params| params.number(0, 8) as u8),
                    },
                    (REGISTRATION_SERVER, 1) => Asked::Unregister,
                    (REGISTRATION_SERVER, 2) => Asked::Configuration,
                    _ => Asked::Other,
                }
            }
            _ => continue,
        };
        return Some(Question { id, asked });
    }
}

/// A `Return` of results; `payload` are the words from the payload's two pointers on.
fn returned(id: u32, payload: &[u64]) -> Vec<u8> {
    const RETURN: u64 = 3;
    let mut segment = vec![
        to_struct(0, 1, 1),
        RETURN,
        to_struct(0, 2, 1),
        u64::from(id), // the parameters' capabilities are released, and these are results: both 0
        0,
        to_struct(0, 0, 2),
    ];
    segment.extend(payload);
    frame(&segment)
}

/// Answers [`Asked::Bootstrap`] with the one object there is.
pub(super) fn object(id: u32) -> Vec<u8> {
    const COMPOSITE: u64 = 7;
    const SENDER_HOSTED: u64 = 1;
    let table = 1 | COMPOSITE << 32 | 2 << 35;
    let one_of_two_words = 1 << 2 | 1 << 32 | 1 << 48;
    returned(id, &[CAPABILITY, table, one_of_two_words, SENDER_HOSTED, 0])
}

/// Answers a call without results.
pub(super) fn nothing(id: u32) -> Vec<u8> {
    returned(id, &[0, 0])
}

/// Answers [`Asked::Register`]: it is connected, at `location`. `remote`: its ingress rules come from the dashboard.
pub(super) fn accepted(id: u32, connection: [u8; 16], location: &str, remote: bool) -> Vec<u8> {
    const DETAILS: u64 = 1;
    let text = [location.as_bytes(), &[0]].concat();
    let mut payload = vec![
        to_struct(1, 0, 1),
        0,
        to_struct(0, 1, 1),
        DETAILS,
        to_struct(0, 1, 2),
        u64::from(remote),
        to_bytes(1, connection.len()),
        to_bytes(2, text.len()),
    ];
    payload.extend(words(&connection));
    payload.extend(words(&text));
    returned(id, &payload)
}

/// Answers [`Asked::Register`]: no, and why.
pub(super) fn refused(id: u32, cause: &str) -> Vec<u8> {
    let text = [cause.as_bytes(), &[0]].concat();
    let mut payload = vec![
        to_struct(1, 0, 1),
        0,
        to_struct(0, 1, 1),
        0, // an error
        to_struct(0, 2, 1),
        0,
        0, // not to be tried again
        to_bytes(0, text.len()),
    ];
    payload.extend(words(&text));
    returned(id, &payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A call of the registration server as cloudflared writes it.
    fn call(id: u32, method: u64) -> Vec<u8> {
        let mut segment = vec![
            to_struct(0, 1, 1),
            CALL,
            to_struct(0, 3, 3),
            u64::from(id) | method << 32,
            REGISTRATION_SERVER,
            0,
            0,
            to_struct(1, 0, 2), // the payload, past the third pointer
            0,
            to_struct(1, 1, 3), // the parameters, past the table
            0,
            2, // the third connection
            0,
            to_bytes(1, 16),
            0,
        ];
        segment.extend(words(&[7; 16]));
        frame(&segment)
    }

    #[test]
    fn calls_are_distinguished_and_the_rest_is_skipped() {
        const FINISH: u64 = 4;
        let mut arrived = frame(&[to_struct(0, 1, 1), BOOTSTRAP, to_struct(0, 1, 1), 0, 0]);
        arrived.extend(call(1, 0));
        arrived.extend(frame(&[to_struct(0, 1, 1), FINISH, to_struct(0, 1, 0), 1]));
        arrived.extend(call(2, 1));
        let next = |arrived: &mut Vec<u8>| question(arrived).map(|question| (question.id, question.asked));
        assert_eq!(next(&mut arrived), Some((0, Asked::Bootstrap)));
        let register = Asked::Register {
            tunnel: vec![7; 16],
            index: 2,
        };
        assert_eq!(next(&mut arrived), Some((1, register)));
        assert_eq!(next(&mut arrived), Some((2, Asked::Unregister)));
        assert_eq!(next(&mut arrived), None);
    }

    #[test]
    fn answers_have_the_layout_of_the_schema() {
        let mut bytes = accepted(7, [9; 16], "fra03", true);
        let message = take(&mut bytes).unwrap();
        let answer = message.root().unwrap().child(0).unwrap();
        assert_eq!((answer.number(0, 32), answer.number(48, 16)), (7, 0));
        let response = answer.child(0).unwrap().child(0).unwrap().child(0).unwrap();
        assert_eq!(response.number(0, 16), 1);
        let details = response.child(0).unwrap();
        assert_eq!(details.number(0, 8), 1);
        assert_eq!(
            (details.bytes(0).unwrap(), details.bytes(1).unwrap()),
            (vec![9; 16], b"fra03\0".to_vec())
        );

        let mut bytes = refused(8, "Unauthorized: Invalid tunnel secret");
        let message = take(&mut bytes).unwrap();
        let answer = message.root().unwrap().child(0).unwrap();
        let response = answer.child(0).unwrap().child(0).unwrap().child(0).unwrap();
        assert_eq!(response.number(0, 16), 0);
        let cause = response.child(0).unwrap().bytes(0).unwrap();
        assert!(cause.starts_with(b"Unauthorized") && cause.ends_with(b"\0"));
    }
}
