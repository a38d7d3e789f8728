//! The page at work alone: the form of the login is read, filled in and sent, and its cookie opens the chat.

use super::*;

#[tokio::test]
async fn a_login_opens_the_chat() {
    let web = Web::new(true, local()).await;
    assert_eq!(web.get("/", "").await.location(), "/login");
    let form = web.get("/login", "").await;
    let fields = format!(
        "csrf={}&state={}&field-account=ada&field-password={}",
        form.hidden("csrf"),
        form.hidden("state"),
        PASSWORD.replace(' ', "+")
    );
    let done = web.post("/login", &form.jar(), fields).await;
    assert_eq!((done.status, done.location()), (StatusCode::SEE_OTHER, "/"));
    let page = web.get("/", &done.jar()).await;
    assert!(page.text.contains("id=\"app\""), "{}", page.text);
}
