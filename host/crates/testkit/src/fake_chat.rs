//! A chat backend that does what the test says.

use futures::future::BoxFuture;
use nexus_model::chat::{
    Admission, Agent, AgentList, Answer, BackendConnection, BrowserSignIn, Command, Event, Ext, Feature, FileContent,
    FileEntry, FoundLine, Model, ModelList, NewAttachment, Provider, SessionEvent, SessionId, SessionInfo,
    SignInValues, Snapshot, Turn, Workspace,
};
use nexus_model::plugin::{Availability, Failure, Kind, PluginState, PluginStatus};
use nexus_plugin_traits::{
    BackendEvent, BackendEvents, Call, CallError, CancelReason, ChatBackend, PluginRecord, Prompt, Supervised,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use tokio::sync::{Semaphore, mpsc, watch};

/// `EventStreams` are the event streams that were opened, each as the sender that the test speaks through.
pub type EventStreams = mpsc::UnboundedReceiver<mpsc::Sender<BackendEvent>>;

/// `Script` is what a backend does besides noting what it is asked for.
pub trait Script: Send + Sync {
    /// `prompted` is called for a prompt that no entry of [`FakeChat::admissions`] answers; it returns the answer.
    fn prompted(&self, session: &SessionInfo, prompt: &Prompt) -> Admission;
    /// `canceled` is called when a turn is to stop.
    fn canceled(&self, session: &SessionInfo);
    /// `replied` is called when a request of the agent was answered.
    fn replied(&self, session: &SessionInfo, request: &str);
    /// `created` is called for each new session.
    fn created(&self, session: &SessionInfo);
    /// `renamed` is called when a session gets another title.
    fn renamed(&self, session: &SessionInfo, title: &str);
    /// `deleted` is called when a session is deleted.
    fn deleted(&self, session: &SessionInfo);
}

/// `FakeChat` is what the test reads and changes while the backend is used.
pub struct FakeChat {
    /// `echo` is an example.
    pub title: String,
    /// `status` is the state of the plugin, which a test sets.
    pub status: watch::Sender<PluginStatus>,
    /// `availability` is what the backend's program is said to be.
    pub availability: Mutex<Availability>,
    /// `snapshots` are what the backend has of each session.
    pub snapshots: Mutex<BTreeMap<SessionId, Snapshot>>,
    /// `gate` has permits: each snapshot takes one of it, and waits where there is none.
    pub gate: Semaphore,
    /// `admissions` are the answers to the next prompts; later ones are admitted.
    pub admissions: Mutex<VecDeque<Result<Admission, CallError>>>,
    /// `prompts` are those that came, the oldest first.
    pub prompts: Mutex<Vec<Prompt>>,
    /// `reply_error` is what a reply fails with.
    pub reply_error: Mutex<Option<CallError>>,
    /// `replies` are those that came: request and answer.
    pub replies: Mutex<Vec<(String, Answer)>>,
    /// `canceled` are the sessions whose turn was canceled.
    pub canceled: Mutex<Vec<SessionId>>,
    /// `listed` is the backend's list.
    pub listed: Mutex<Vec<SessionInfo>>,
    /// `titles` are those that sessions were given.
    pub titles: Mutex<Vec<String>>,
    /// `reads` are the sessions that were read, once for each reading.
    pub reads: Mutex<Vec<SessionId>>,
    /// `created` are the sessions that were created.
    pub created: Mutex<Vec<SessionInfo>>,
    /// `features` are the optional interfaces that it has: all of them, unless the test says otherwise.
    pub features: Mutex<BTreeSet<Feature>>,
    /// `attachments` are the files of the last prompt.
    pub attachments: Mutex<Vec<NewAttachment>>,
    /// `calls` are the calls of optional interfaces that came, with what they name: `fork s m1`.
    pub calls: Mutex<Vec<String>>,
    /// `left` are the reasons for which its event stream was left.
    pub left: Mutex<Vec<CancelReason>>,
    /// `script` is what it does besides; `None`: nothing.
    pub script: Mutex<Option<Arc<dyn Script>>>,
    /// `record` is what was counted of it.
    pub record: Mutex<Option<Arc<dyn PluginRecord>>>,
    streams: mpsc::UnboundedSender<mpsc::Sender<BackendEvent>>,
}

impl FakeChat {
    /// Makes one that runs and whose program is there.
    pub fn new(title: &str) -> (Arc<Self>, EventStreams) {
        let (streams, opened) = mpsc::unbounded_channel();
        let status = PluginStatus {
            name: title.to_owned(),
            kind: Kind::Chat,
            version: "1.0.0".to_owned(),
            state: PluginState::Running,
            restarts: 0,
            last_failure: None,
            tunnel: None,
        };
        let backend = Self {
            title: title.to_owned(),
            status: watch::Sender::new(status),
            availability: Mutex::new(Availability::ready("1.18.33")),
            snapshots: Mutex::default(),
            gate: Semaphore::new(1000),
            admissions: Mutex::default(),
            prompts: Mutex::default(),
            reply_error: Mutex::default(),
            replies: Mutex::default(),
            canceled: Mutex::default(),
            listed: Mutex::default(),
            titles: Mutex::default(),
            reads: Mutex::default(),
            created: Mutex::default(),
            features: Mutex::new(BTreeSet::from([
                Feature::Sessions,
                Feature::History,
                Feature::Questions,
                Feature::Models,
                Feature::Agents,
                Feature::Commands,
                Feature::Attachments,
                Feature::Fork,
                Feature::Revert,
                Feature::Compaction,
                Feature::Archive,
                Feature::Workspaces,
                Feature::Files,
                Feature::Providers,
            ])),
            attachments: Mutex::default(),
            calls: Mutex::default(),
            left: Mutex::default(),
            script: Mutex::default(),
            record: Mutex::default(),
            streams,
        };
        (Arc::new(backend), opened)
    }

    /// Shows a session from now on.
    pub fn has(&self, snapshot: Snapshot) {
        self.snapshots
            .lock()
            .unwrap()
            .insert(snapshot.info.id.clone(), snapshot);
    }

    fn has_interface(&self, which: Feature) -> Result<(), CallError> {
        let has = self.features.lock().unwrap().contains(&which);
        has.then_some(()).ok_or(CallError::Unsupported("do that"))
    }

    /// Answers a call of an optional interface, and notes it.
    fn called<'a, T: Send + 'a>(&self, which: Feature, call: String, answer: T) -> Call<'a, T> {
        let has = self.has_interface(which);
        if has.is_ok() {
            self.calls.lock().unwrap().push(call);
        }
        Box::pin(async move { has.map(|()| answer) })
    }

    /// The backend has the session so from now on.
    fn now(&self, info: &SessionInfo) {
        if let Some(known) = self.snapshots.lock().unwrap().get_mut(&info.id) {
            known.info = info.clone();
        }
    }

    fn script(&self) -> Option<Arc<dyn Script>> {
        self.script.lock().unwrap().clone()
    }
}

impl Supervised for FakeChat {
    fn status(&self) -> watch::Receiver<PluginStatus> {
        self.status.subscribe()
    }
    fn measured(&self) -> Option<Arc<dyn PluginRecord>> {
        self.record.lock().unwrap().clone()
    }
    fn start(&self) {
        self.status.send_modify(|status| status.state = PluginState::Running);
    }
    fn stop(&self) -> BoxFuture<'_, ()> {
        self.status.send_modify(|status| status.state = PluginState::Stopped);
        Box::pin(async {})
    }
}

impl ChatBackend for FakeChat {
    fn title(&self) -> String {
        self.title.clone()
    }
    fn is_example(&self) -> bool {
        self.title == "echo"
    }
    fn check_availability(&self) -> Call<'_, Availability> {
        Box::pin(async { Ok(self.availability.lock().unwrap().clone()) })
    }
    fn events(&self) -> BackendEvents {
        let (sender, receiver) = mpsc::channel(8);
        let _ = self.streams.send(sender); // the test may be over
        receiver.into()
    }
    fn leaving(&self, reason: CancelReason) {
        self.left.lock().unwrap().push(reason);
    }
    fn features(&self) -> BTreeSet<Feature> {
        self.features.lock().unwrap().clone()
    }
    fn prompt<'a>(
        &'a self,
        session: &'a SessionInfo,
        prompt: Prompt,
        attachments: Vec<NewAttachment>,
    ) -> Call<'a, Admission> {
        *self.attachments.lock().unwrap() = attachments;
        let answer = self.admissions.lock().unwrap().pop_front();
        let scripted = || {
            self.script()
                .map_or(Admission::Admitted, |script| script.prompted(session, &prompt))
        };
        let answer = answer.unwrap_or_else(|| Ok(scripted()));
        self.prompts.lock().unwrap().push(prompt);
        Box::pin(async { answer })
    }
    fn cancel<'a>(&'a self, session: &'a SessionInfo) -> Call<'a, ()> {
        self.canceled.lock().unwrap().push(session.id.clone());
        if let Some(script) = self.script() {
            script.canceled(session);
        }
        Box::pin(async { Ok(()) })
    }
    fn reply<'a>(&'a self, session: &'a SessionInfo, request: &'a str, answer: Answer) -> Call<'a, ()> {
        let error = self.reply_error.lock().unwrap().clone();
        if error.is_none() {
            self.replies.lock().unwrap().push((request.to_owned(), answer));
            if let Some(script) = self.script() {
                script.replied(session, request);
            }
        }
        Box::pin(async { error.map_or(Ok(()), Err) })
    }
    fn snapshot<'a>(&'a self, session: &'a SessionInfo, _: Option<String>) -> Call<'a, Snapshot> {
        Box::pin(async {
            self.has_interface(Feature::History)?;
            self.reads.lock().unwrap().push(session.id.clone());
            self.gate.acquire().await.unwrap().forget();
            let found = self.snapshots.lock().unwrap().get(&session.id).cloned();
            found.ok_or_else(|| CallError::NotFound("no such session".to_owned()))
        })
    }
    fn sessions(&self, _: Option<String>, _: u32) -> Call<'_, Vec<SessionInfo>> {
        let listed = self.listed.lock().unwrap().clone();
        Box::pin(async { self.has_interface(Feature::Sessions).map(|()| listed) })
    }
    /// `new-1`, `new-2` and so on.
    fn create(&self, workspace: Option<String>, title: Option<String>) -> Call<'_, SessionInfo> {
        if let Err(error) = self.has_interface(Feature::Sessions) {
            return Box::pin(async { Err(error) });
        }
        let mut created = self.created.lock().unwrap();
        let mut info = session_info(&format!("new-{}", created.len() + 1));
        info.title = title.unwrap_or_default();
        info.workspace = workspace.unwrap_or(info.workspace);
        created.push(info.clone());
        if let Some(script) = self.script() {
            script.created(&info);
        }
        Box::pin(async { Ok(info) })
    }
    fn rename<'a>(&'a self, session: &'a SessionInfo, title: &'a str) -> Call<'a, ()> {
        if let Err(error) = self.has_interface(Feature::Sessions) {
            return Box::pin(async { Err(error) });
        }
        self.titles.lock().unwrap().push(title.to_owned());
        if let Some(script) = self.script() {
            script.renamed(session, title);
        }
        Box::pin(async { Ok(()) })
    }
    fn delete<'a>(&'a self, session: &'a SessionInfo) -> Call<'a, ()> {
        if let Err(error) = self.has_interface(Feature::Sessions) {
            return Box::pin(async { Err(error) });
        }
        if let Some(script) = self.script() {
            script.deleted(session);
        }
        Box::pin(async { Ok(()) })
    }
    fn models<'a>(&'a self, workspace: &'a str) -> Call<'a, ModelList> {
        let model = Model {
            id: "acme/one".to_owned(),
            title: "One".to_owned(),
            provider: "Acme".to_owned(),
            variants: vec!["high".to_owned()],
            reads: Some(vec!["image/*".to_owned()]),
            context_tokens: Some(128_000),
            input_price: None,
            output_price: Some(2.5),
            ext: Ext::default(),
        };
        let list = ModelList {
            default: Some(model.id.clone()),
            models: vec![model],
        };
        self.called(Feature::Models, format!("models {workspace}"), list)
    }
    fn agents<'a>(&'a self, workspace: &'a str) -> Call<'a, AgentList> {
        let agent = Agent {
            id: "build".to_owned(),
            title: "build".to_owned(),
            description: "Builds.".to_owned(),
            model: None,
            ext: Ext::default(),
        };
        let list = AgentList {
            default: Some(agent.id.clone()),
            agents: vec![agent],
        };
        self.called(Feature::Agents, format!("agents {workspace}"), list)
    }
    fn commands<'a>(&'a self, workspace: &'a str) -> Call<'a, Vec<Command>> {
        let command = Command {
            name: "review".to_owned(),
            description: "Reviews.".to_owned(),
            arguments: Some("[commit]".to_owned()),
            ext: Ext::default(),
        };
        self.called(Feature::Commands, format!("commands {workspace}"), vec![command])
    }
    fn read_attachment<'a>(&'a self, session: &'a SessionInfo, id: &'a str) -> Call<'a, FileContent> {
        let call = format!("read-attachment {} {id}", session.id);
        self.called(
            Feature::Attachments,
            call,
            content("image/svg+xml", b"<svg onload='alert(1)'/>"),
        )
    }
    fn fork<'a>(&'a self, session: &'a SessionInfo, before: Option<&'a str>) -> Call<'a, SessionInfo> {
        let call = format!("fork {} {}", session.id, before.unwrap_or_default());
        let info = session_info(&format!("{}-fork", session.id));
        self.has(Snapshot {
            info: info.clone(),
            ..session_snapshot("", Turn::Idle)
        });
        self.called(Feature::Fork, call, info)
    }
    fn revert<'a>(&'a self, session: &'a SessionInfo, message: &'a str) -> Call<'a, SessionInfo> {
        let info = SessionInfo {
            reverted: Some(message.to_owned()),
            ..session.clone()
        };
        self.now(&info);
        self.called(Feature::Revert, format!("revert {} {message}", session.id), info)
    }
    fn restore<'a>(&'a self, session: &'a SessionInfo) -> Call<'a, SessionInfo> {
        let info = SessionInfo {
            reverted: None,
            ..session.clone()
        };
        self.now(&info);
        self.called(Feature::Revert, format!("restore {}", session.id), info)
    }
    fn compact<'a>(&'a self, session: &'a SessionInfo, model: Option<&'a str>) -> Call<'a, ()> {
        let call = format!("compact {} {}", session.id, model.unwrap_or_default());
        self.called(Feature::Compaction, call, ())
    }
    fn set_archived<'a>(&'a self, session: &'a SessionInfo, archived: bool) -> Call<'a, ()> {
        self.called(Feature::Archive, format!("archive {} {archived}", session.id), ())
    }
    fn workspaces(&self) -> Call<'_, Vec<Workspace>> {
        let workspace = |path: &str| Workspace {
            path: path.to_owned(),
            title: path.to_owned(),
            branch: Some("main".to_owned()),
            ext: Ext::default(),
        };
        let both = vec![workspace("/project"), workspace("/other")];
        self.called(Feature::Workspaces, "workspaces".to_owned(), both)
    }
    fn search_files<'a>(&'a self, workspace: &'a str, query: &'a str, limit: u32) -> Call<'a, Vec<FileEntry>> {
        let call = format!("search {workspace} {query} {limit}");
        self.called(Feature::Files, call, vec![entry("src/main.rs", false)])
    }
    fn list_folder<'a>(&'a self, workspace: &'a str, folder: &'a str) -> Call<'a, Vec<FileEntry>> {
        let call = format!("list {workspace} {folder}");
        self.called(Feature::Files, call, vec![entry("src", true)])
    }
    fn read_file<'a>(&'a self, workspace: &'a str, path: &'a str) -> Call<'a, FileContent> {
        let call = format!("read {workspace} {path}");
        self.called(Feature::Files, call, content("text/html", b"<script>alert(1)</script>"))
    }
    fn find_lines<'a>(&'a self, workspace: &'a str, text: &'a str, limit: u32) -> Call<'a, Vec<FoundLine>> {
        let found = FoundLine {
            path: "src/main.rs".to_owned(),
            line: 1,
            text: text.to_owned(),
        };
        self.called(Feature::Files, format!("find {workspace} {text} {limit}"), vec![found])
    }
    fn providers(&self) -> Call<'_, Vec<Provider>> {
        let provider = Provider {
            id: "acme".to_owned(),
            title: "Acme".to_owned(),
            signed_in: false,
            removable: false,
            methods: Vec::new(),
        };
        self.called(Feature::Providers, "providers".to_owned(), vec![provider])
    }
    fn sign_in<'a>(&'a self, provider: &'a str, method: &'a str, values: SignInValues) -> Call<'a, ()> {
        self.called(
            Feature::Providers,
            format!("sign-in {provider} {method} {values:?}"),
            (),
        )
    }
    fn begin_sign_in<'a>(&'a self, provider: &'a str, method: &'a str, _: SignInValues) -> Call<'a, BrowserSignIn> {
        let page = BrowserSignIn {
            url: "https://acme.example/login".to_owned(),
            instructions: "Type 1234.".to_owned(),
            gives_code: false,
        };
        self.called(Feature::Providers, format!("begin {provider} {method}"), page)
    }
    fn finish_sign_in<'a>(&'a self, provider: &'a str, method: &'a str, code: Option<String>) -> Call<'a, ()> {
        let call = format!("finish {provider} {method} {}", code.unwrap_or_default());
        self.called(Feature::Providers, call, ())
    }
    fn sign_out<'a>(&'a self, provider: &'a str) -> Call<'a, ()> {
        self.called(Feature::Providers, format!("sign-out {provider}"), ())
    }
}

fn entry(path: &str, folder: bool) -> FileEntry {
    FileEntry {
        path: path.to_owned(),
        folder,
        size: None,
    }
}

fn content(mime: &str, data: &[u8]) -> FileContent {
    FileContent {
        mime: mime.to_owned(),
        data: data.to_vec(),
    }
}

/// `session_info` is a root session of the project, with the title `t`.
pub fn session_info(id: &str) -> SessionInfo {
    SessionInfo {
        id: id.to_owned(),
        workspace: "/project".to_owned(),
        parent: None,
        title: "t".to_owned(),
        created_at: 1,
        updated_at: 1,
        archived: false,
        reverted: None,
        ext: nexus_model::chat::Ext::default(),
    }
}

/// `session_snapshot` is a session without a message.
pub fn session_snapshot(id: &str, turn: Turn) -> Snapshot {
    Snapshot {
        info: session_info(id),
        messages: Vec::new(),
        turn,
        requests: Vec::new(),
        before: None,
    }
}

/// `opened` says that the connection opened, while turns of these sessions ran.
pub fn opened(id: &str, running: &[&str]) -> BackendEvent {
    let running = running
        .iter()
        .map(|session| ((*session).to_owned(), Turn::Running))
        .collect();
    BackendEvent::Opened(BackendConnection {
        id: id.to_owned(),
        version: "1.18.33".to_owned(),
        running,
        requests: Vec::new(),
    })
}

/// `event` is an event of a session.
pub fn event(session: &str, event: Event) -> BackendEvent {
    BackendEvent::Event(SessionEvent {
        session: session.to_owned(),
        event,
    })
}

/// `closed` says that the connection is gone, with the reason `gone`.
pub fn closed(permanent: bool) -> BackendEvent {
    BackendEvent::Closed(Failure {
        at: 1,
        cause: "gone".to_owned(),
        fix: None,
        permanent,
    })
}
