//! Messages to people: they leave after commit, once, and nothing of them stays behind.

use std::process::Command;
use std::sync::Arc;

use salur::domain::calendar::Moment;
use salur::domain::message::{Link, Message};
use salur::mail::Carrier;
use salur::service::Service;
use salur::service::follow::Background;
use salur::store::{self, OutboxRow, OutboxState, Store, StoreError, Tx};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::figure;
use crate::cli::{Home, run, salur};
use crate::harness::app::request;
use crate::harness::books::{connect, count};
use crate::harness::database::{Kind, TestDatabase};
use crate::harness::node::{self, MailServer};
use crate::harness::process::{ServerProcess, until};
use crate::harness::world::World;
use crate::on_both_databases;

on_both_databases!(
    a_message_leaves_once_its_transaction_is_committed_and_else_never,
    a_message_arrives_once_however_many_servers_send,
    what_is_not_taken_is_tried_again_with_growing_pauses_for_a_day,
    an_address_that_is_refused_for_good_is_given_up_and_named_to_nobody,
    nothing_of_a_link_is_left_once_it_was_sent,
    a_server_without_mail_leaves_messages_to_the_operator,
    a_demo_shows_messages_in_its_log,
    a_mail_server_that_nobody_vouches_for_gets_nothing,
    a_mail_server_that_does_not_answer_holds_nobody_up,
    wrong_mail_settings_are_refused_without_their_password,
    messages_are_forgotten_after_a_month,
);

const FROM: &str = "Salur <salur@kota.example>";

fn reset(link: &str) -> Message {
    Message::ResetPassword { link: Link(link.into()) }
}

/// Posts a message and then succeeds, or not.
struct Tell {
    recipient: String,
    message: Message,
    fails: bool,
}

impl store::Command for Tell {
    type Answer = ();

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let now = tx.now().await?;
        store::post(tx, now, &self.recipient, &self.message).await?;
        if self.fails { Err(StoreError::VersionConflict) } else { Ok(()) }
    }
}

async fn tell(store: &Store, recipient: &str, message: Message) {
    let tell = Tell { recipient: recipient.into(), message, fails: false };
    store.execute(tell).await.expect("a message is taken");
}

/// A server inside of this process, which goes by the world's clock.
fn sending(world: &World, server: &str) -> (Service, Background) {
    let home = Home::new();
    let key = salur::audit::signing::SigningKey::create_or_load(&home.path("key.pem")).expect("a key is made");
    let service = Service::new(world.store.clone(), key.into());
    service.send_by(Carrier::smtp(server, FROM).expect("a mail server"));
    let background = service.start();
    (service, background)
}

/// `salur serve` that sends by this mail server.
fn serve(db: &TestDatabase, home: &Home, mail: &str) -> Command {
    let mut command = ServerProcess::command(db.url(), &home.path(""));
    command.env("SALUR_SMTP", mail).env("SALUR_SMTP_FROM", FROM);
    command
}

async fn row_of(store: &Store, recipient: &str) -> OutboxRow {
    let rows = store.outbox(true).await.expect("the outbox is read");
    rows.into_iter().find(|row| row.recipient == recipient).expect("it was posted")
}

async fn is(store: &Store, recipient: &str, state: OutboxState) -> bool {
    row_of(store, recipient).await.state == state
}

async fn a_message_leaves_once_its_transaction_is_committed_and_else_never(db: TestDatabase) {
    /// Holds its transaction open until it is told to end it.
    struct Held {
        posted: Arc<Notify>,
        end: Arc<Notify>,
    }

    impl store::Command for Held {
        type Answer = ();

        async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
            let now = tx.now().await?;
            store::post(tx, now, "held@warga.example", &reset("https://salur.example/held")).await?;
            self.posted.notify_one();
            self.end.notified().await;
            Ok(())
        }
    }

    let world = World::new(db).await;
    let mail = MailServer::start(0);
    let (_service, _background) = sending(&world, &mail.url());
    let failing = Tell { recipient: "failed@warga.example".into(), message: reset("https://x.example/f"), fails: true };
    world.store.execute(failing).await.expect_err("it fails");
    let (posted, end) = (Arc::<Notify>::default(), Arc::<Notify>::default());
    let (store, holds) = (world.store.clone(), Held { posted: posted.clone(), end: end.clone() });
    let held = tokio::spawn(async move { store.execute(holds).await });
    posted.notified().await;
    // On SQLite nobody else can write meanwhile.
    if world.db.kind() == Kind::Postgres {
        tell(&world.store, "other@warga.example", reset("https://salur.example/other")).await;
        until("another message arrives", async || mail.mails_to("other@warga.example").len() == 1).await;
        assert!(mail.mails_to("held@warga.example").is_empty(), "its transaction is still open");
    }
    end.notify_one();
    held.await.expect("no panic").expect("it is committed");
    until("the message arrives", async || mail.mails_to("held@warga.example").len() == 1).await;
    assert!(mail.mails_to("failed@warga.example").is_empty());
    let [letter] = &mail.mails_to("held@warga.example")[..] else { panic!("one letter") };
    assert!(letter.body.contains("\nhttps://salur.example/held\n"), "{letter:?}");
    for header in [
        "Subject: [Salur] Atur ulang kata sandi Anda / Set a new password",
        "Auto-Submitted: auto-generated",
        "Content-Type: text/plain; charset=utf-8",
        "From: Salur <salur@kota.example>",
    ] {
        assert!(letter.head.lines().any(|line| line == header), "{header}: {letter:?}");
    }
}

async fn a_message_arrives_once_however_many_servers_send(db: TestDatabase) {
    const MESSAGES: usize = 60;
    let world = World::new(db).await;
    let mail = MailServer::start(0);
    let home = Home::new();
    let mut servers = Vec::new();
    for _ in 0..3 {
        servers.push(ServerProcess::spawn(serve(&world.db, &home, &mail.url()), &home.path("")).await);
    }
    for n in 0..MESSAGES {
        let invitation = Message::Invitation {
            organization: format!("Yayasan Perempuan Pesisir № {n}"),
            link: Link(format!("https://salur.example/{n}")),
        };
        tell(&world.store, &format!("warga{n}@warga.example"), invitation).await;
    }
    let sent = "SELECT count(*) AS n FROM outbox WHERE state = 'SENT' AND attempts = 1";
    until("all are sent", async || count(&world.db, sent).await == MESSAGES as i64).await;
    let mails = mail.mails();
    assert_eq!(mails.len(), MESSAGES, "as many as were posted");
    for n in 0..MESSAGES {
        let [letter] = &mail.mails_to(&format!("warga{n}@warga.example"))[..] else { panic!("{n} came not once") };
        assert!(letter.body.contains(&format!("Yayasan Perempuan Pesisir № {n} di Salur")), "{letter:?}");
        assert!(letter.body.contains(&format!("\nhttps://salur.example/{n}\n")), "{letter:?}");
    }
    let mut each = Vec::new();
    for server in &servers {
        each.push(figure(server.address, "salur_messages_total{outcome=\"sent\"}").await);
    }
    assert_eq!(each.iter().sum::<f64>(), MESSAGES as f64, "{each:?}");
    assert_eq!(figure(servers[0].address, "salur_outbox_waiting").await, 0.0);
}

async fn what_is_not_taken_is_tried_again_with_growing_pauses_for_a_day(db: TestDatabase) {
    let world = World::new(db).await;
    // Taken and let go again: nobody listens there.
    let away = TcpListener::bind("127.0.0.1:0").await.expect("a free port").local_addr().expect("an address").port();
    let (service, _background) = sending(&world, &node::url(away));
    let (patient, late) = ("sabar@warga.example", "lama@warga.example");
    tell(&world.store, patient, reset("https://salur.example/1")).await;
    tell(&world.store, late, reset("https://salur.example/2")).await;
    let since_taken = |row: &OutboxRow, taken: Moment| (row.at.0 - taken.0) / 1_000_000;
    let mut tried = world.store.now().await.expect("the time is read");
    for (attempt, pause) in [(1, 30), (2, 60), (3, 120)] {
        until("it is tried", async || row_of(&world.store, patient).await.attempts == attempt).await;
        let row = row_of(&world.store, patient).await;
        assert_eq!(row.state, OutboxState::Waiting);
        assert!((pause..pause + 60).contains(&since_taken(&row, tried)), "attempt {attempt}: {row:?}, {tried}");
        world.wait(pause as u64);
        tried = row.at;
    }
    let mail = MailServer::start(away);
    world.wait(240);
    until("it arrives", async || mail.mails_to(patient).len() == 1).await;
    until("and the other one", async || is(&world.store, late, OutboxState::Sent).await).await;
    drop(mail);

    tell(&world.store, "sia-sia@warga.example", reset("https://salur.example/3")).await;
    until("it is tried", async || row_of(&world.store, "sia-sia@warga.example").await.attempts == 1).await;
    world.wait(86_400);
    until("it is given up", async || is(&world.store, "sia-sia@warga.example", OutboxState::GivenUp).await).await;
    let kept = row_of(&world.store, "sia-sia@warga.example").await;
    assert_eq!(kept.message, Some(reset("https://salur.example/3")), "the operator can still hand it over");
    let page = service.metrics().page(service.readings().await).expect("a page");
    assert!(page.contains("\nsalur_messages_total{outcome=\"given_up\"} 1\n"), "{page}");
}

async fn an_address_that_is_refused_for_good_is_given_up_and_named_to_nobody(db: TestDatabase) {
    let world = World::new(db).await;
    let mail = MailServer::start(0);
    let home = Home::new();
    let server = ServerProcess::spawn(serve(&world.db, &home, &mail.url()), &home.path("")).await;
    tell(&world.store, "nobody@warga.example", reset("https://salur.example/n")).await;
    tell(&world.store, "later@warga.example", reset("https://salur.example/l")).await;
    until("it is given up", async || is(&world.store, "nobody@warga.example", OutboxState::GivenUp).await).await;
    until("the other is put off", async || home.read("server.log").contains("answers 451")).await;
    let later = row_of(&world.store, "later@warga.example").await;
    assert_eq!((later.state, later.attempts), (OutboxState::Waiting, 1));
    assert_eq!(row_of(&world.store, "nobody@warga.example").await.attempts, 1);
    assert_eq!(figure(server.address, "salur_messages_total{outcome=\"given_up\"}").await, 1.0);
    assert_eq!(figure(server.address, "salur_messages_total{outcome=\"failed\"}").await, 1.0);
    assert_eq!(figure(server.address, "salur_outbox_waiting").await, 1.0);
    let log = home.read("server.log");
    assert!(log.contains("the address is refused (550)"), "{log}");
    for secret in ["warga.example", "salur.example", "geheim"] {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
    let by_hand = salur(&home, &world.db, &["outbox"]).ok();
    assert!(
        by_hand.contains("\nTo: nobody@warga.example\n") && by_hand.contains("https://salur.example/n"),
        "{by_hand}"
    );
}

async fn nothing_of_a_link_is_left_once_it_was_sent(db: TestDatabase) {
    let world = World::new(db).await;
    let mail = MailServer::start(0);
    let home = Home::new();
    let mut command = serve(&world.db, &home, &mail.url());
    command.env("SALUR_LOG", "trace");
    let mut server = ServerProcess::spawn(command, &home.path("")).await;
    let secret = "s3cr3t-0f-0ne-l1nk";
    tell(&world.store, "dian@warga.example", reset(&format!("https://salur.example/reset?token={secret}"))).await;
    until("it is sent", async || is(&world.store, "dian@warga.example", OutboxState::Sent).await).await;
    assert!(mail.mails_to("dian@warga.example")[0].body.contains(secret), "the reader has it");
    let kept = row_of(&world.store, "dian@warga.example").await;
    assert_eq!((kept.message, kept.kind.as_str()), (None, "RESET_PASSWORD"));
    let own = connect(&world.db).await;
    let left = match world.db.kind() {
        Kind::Postgres => "SELECT count(*) AS n FROM outbox WHERE outbox::text LIKE '%s3cr3t%'",
        Kind::Sqlite => "SELECT count(*) AS n FROM outbox WHERE parameters LIKE '%s3cr3t%'",
    };
    assert_eq!(count(&world.db, left).await, 0);
    own.close().await.expect("nothing is running");
    server.terminate();
    assert!(server.wait().await.success(), "{}", server.last_words());
    let log = home.read("server.log");
    for part in [secret, "dian@", "geheim"] {
        assert!(!log.contains(part), "{part} is in the log:\n{log}");
    }
    assert_eq!(salur(&home, &world.db, &["outbox"]).ok(), "");
    let all = salur(&home, &world.db, &["outbox", "--all"]).ok();
    assert!(all.contains("RESET_PASSWORD: sent at") && all.contains("To: dian@warga.example"), "{all}");
    assert!(!all.contains(secret), "{all}");
}

async fn a_server_without_mail_leaves_messages_to_the_operator(db: TestDatabase) {
    let world = World::new(db).await;
    let home = Home::new();
    let server = ServerProcess::start(world.db.url(), &home.path("")).await;
    let refused = Message::OrganizationRefused { organization: "PT Maju".into(), reason: "Izin\nbelum ada".into() };
    tell(&world.store, "dian@warga.example", reset("https://salur.example/reset")).await;
    tell(&world.store, "pt@maju.example", refused).await;
    assert_eq!(figure(server.address, "salur_outbox_waiting").await, 2.0);
    let shown = salur(&home, &world.db, &["outbox"]).ok();
    let mut parts = shown.split("\nMessage ");
    let (first, second) = (parts.next().expect("one"), parts.next().expect("another"));
    assert!(
        first.starts_with("Message 1 of ") && first.contains(", RESET_PASSWORD: waits\nTo: dian@warga.example\n"),
        "{first}"
    );
    assert!(first.contains("Subject: [Salur] ") && first.contains("\nhttps://salur.example/reset\n"), "{first}");
    assert!(second.contains("\nTo: pt@maju.example\n") && second.contains("\nIzin belum ada\n"), "{second}");
    assert!(parts.next().is_none() && is(&world.store, "dian@warga.example", OutboxState::Waiting).await);
}

async fn a_demo_shows_messages_in_its_log(db: TestDatabase) {
    let world = World::new(db).await;
    let home = Home::new();
    let mut command = ServerProcess::command(world.db.url(), &home.path(""));
    command.arg("--print-messages");
    let _server = ServerProcess::spawn(command, &home.path("")).await;
    tell(&world.store, "dian@warga.example", reset("https://salur.example/reset")).await;
    until("it is shown", async || home.read("server.log").contains("\nhttps://salur.example/reset\n")).await;
    let log = home.read("server.log");
    assert!(log.contains("because this is a demo") && log.contains("\nTo: dian@warga.example\n"), "{log}");
    until("it counts as sent", async || is(&world.store, "dian@warga.example", OutboxState::Sent).await).await;
}

async fn a_mail_server_that_nobody_vouches_for_gets_nothing(db: TestDatabase) {
    let world = World::new(db).await;
    let mail = MailServer::start(0);
    let home = Home::new();
    let server = format!("{}?tls=required", mail.url());
    let server = ServerProcess::spawn(serve(&world.db, &home, &server), &home.path("")).await;
    tell(&world.store, "dian@warga.example", reset("https://salur.example/reset")).await;
    let failed = "salur_messages_total{outcome=\"failed\"}";
    until("it is tried", async || figure(server.address, failed).await == 1.0).await;
    assert!(mail.mails().is_empty() && is(&world.store, "dian@warga.example", OutboxState::Waiting).await);
}

async fn a_mail_server_that_does_not_answer_holds_nobody_up(db: TestDatabase) {
    let world = World::new(db).await;
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
    let port = silent.local_addr().expect("a listener has an address").port();
    let home = Home::new();
    let mut server = ServerProcess::spawn(serve(&world.db, &home, &node::url(port)), &home.path("")).await;
    tell(&world.store, "dian@warga.example", reset("https://salur.example/reset")).await;
    let _caller = silent.accept().await.expect("the server comes");
    assert_eq!(request(server.address, "GET", "/health/ready", &[], "").await.status, 200);
    world.needs(&[10]).await;
    server.terminate();
    assert!(server.wait().await.success(), "{}", server.last_words());
    assert!(is(&world.store, "dian@warga.example", OutboxState::Waiting).await, "it is tried again");
}

async fn wrong_mail_settings_are_refused_without_their_password(db: TestDatabase) {
    let home = Home::new();
    let serve = |smtp: &str, from: &str, more: &[&str]| {
        let environment =
            [("SALUR_DATABASE", db.url()), ("SALUR_DATA_DIR", "."), ("SALUR_SMTP", smtp), ("SALUR_SMTP_FROM", from)];
        let refused = run(&home, &environment, &[&["serve"], more].concat());
        assert!(!refused.err.contains("geheim"), "{refused:?}");
        refused
    };
    serve("mail.example:geheim", FROM, &[]).fails(2, "SALUR_SMTP is not the address of a mail server");
    serve("smtp://salur:geheim@mail.example", FROM, &[]).fails(2, "?tls=required");
    serve("smtps://salur:geheim@mail.example", "", &[]).fails(2, "SALUR_SMTP_FROM: say who writes");
    serve("smtps://salur:geheim@mail.example", "Salur", &[]).fails(2, "SALUR_SMTP_FROM must say who writes");
    serve("smtps://salur:geheim@mail.example", FROM, &["--print-messages"]).fails(2, "--print-messages is for a demo");
    serve("", "", &["--public-url", "salur.example"]).fails(2, "--public-url: \"salur.example\" is no address");
}

async fn messages_are_forgotten_after_a_month(db: TestDatabase) {
    let world = World::new(db).await;
    tell(&world.store, "dian@warga.example", reset("https://salur.example/old")).await;
    world.wait(30 * 86_400 - 60);
    tell(&world.store, "dian@warga.example", reset("https://salur.example/new")).await;
    world.store.execute(store::ForgetMessages).await.expect("nothing is old enough");
    assert_eq!(world.store.outbox(true).await.expect("the outbox is read").len(), 2);
    world.wait(60);
    world.store.execute(store::ForgetMessages).await.expect("the old one is");
    let left = world.store.outbox(true).await.expect("the outbox is read");
    assert_eq!(
        left.iter().map(|row| row.message.clone()).collect::<Vec<_>>(),
        [Some(reset("https://salur.example/new"))]
    );
}
