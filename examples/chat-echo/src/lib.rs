//! stub
use nexus_plugin_api::chat::{self, types, *};
use nexus_plugin_api::{FutureReader, StreamReader, sessions};
struct P;
impl chat::Guest for P {
    async fn describe() -> Descriptor { Descriptor { title: "e".into(), example: true, ext: vec![] } }
    async fn probe() -> Availability { Availability::Ready("1".into()) }
    async fn events(cancel: FutureReader<()>) -> (StreamReader<types::Event>, FutureReader<Result<(), Failure>>) {
        chat::job(cancel, async |mut ev, mut c| { let _ = ev.send(types::Event::Starting("x".into())).await; c.cancelled().await; Ok(()) })
    }
    async fn prompt(_s: types::SessionRef, _c: String, _p: Vec<Input>, _o: Options) -> Result<Admission, Error> { Ok(Admission::Admitted) }
    async fn cancel(_s: types::SessionRef) -> Result<(), Error> { Ok(()) }
    async fn reply(_s: types::SessionRef, _a: String, _x: types::Answer) -> Result<(), Error> { Ok(()) }
    async fn snapshot(_s: types::SessionRef, _b: Option<String>) -> Result<types::SessionSnapshot, Error> { Err(Error::Cancelled) }
}
impl sessions::Guest for P {
    async fn list(_w: String, _l: u32) -> Result<Vec<types::SessionInfo>, Error> { Ok(vec![]) }
    async fn create(_w: String, _t: Option<String>) -> Result<types::SessionInfo, Error> { Err(Error::Cancelled) }
    async fn rename(_s: types::SessionRef, _t: String) -> Result<(), Error> { Ok(()) }
    async fn delete(_s: types::SessionRef) -> Result<(), Error> { Ok(()) }
}
nexus_plugin_api::export_chat_with_sessions!(P);
