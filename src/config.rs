//! Settings: what was given on the command line, else the environment, else `salur.toml` in the
//! working directory, else the defaults.

use serde::Deserialize;
use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

const FILE: &str = "salur.toml";
const DATABASE: &str = "sqlite://salur.db";
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);

/// Where everything is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `sqlite://FILE` or `postgres://…`.
    pub database: String,
    pub listen: SocketAddr,
    /// Where people reach this server, without a `/` at the end: the links in messages begin with it.
    pub public_url: String,
    /// The mail server, and who writes; `None`: no mail is sent.
    pub smtp: Option<(Secret, String)>,
    /// Where keys rest: beside an SQLite file, else the working directory, unless set.
    pub data_dir: PathBuf,
    /// Which log lines are written, as `level` or `target=level,…`; `None`: the command's own choice.
    pub log: Option<String>,
    /// Log lines are JSON objects.
    pub log_json: bool,
    /// Where the page's files are read from at each request, instead of those built in.
    pub web_dir: Option<PathBuf>,
    /// The style of a map to lie under ours; `None`: nothing is asked of anybody else.
    pub basemap: Option<String>,
    /// The OpenTelemetry collector that spans of requests go to, with its path.
    pub traces: Option<String>,
}

/// A setting that is used and never shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// One source's word; `None`: it says nothing.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Given {
    pub database: Option<String>,
    pub listen: Option<String>,
    pub public_url: Option<String>,
    pub smtp: Option<Secret>,
    pub smtp_from: Option<String>,
    pub data_dir: Option<PathBuf>,
    pub log: Option<String>,
    pub log_format: Option<String>,
}

/// A setting that cannot be used. The text says where it stands and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadSetting(String);

impl Settings {
    /// Settings of this process: `flags`, its environment and its working directory.
    pub fn load(flags: Given) -> Result<Settings, BadSetting> {
        let file = match fs::read_to_string(FILE) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(BadSetting(format!("{FILE} cannot be read: {error}; mend or remove it"))),
        };
        Self::resolve(flags, |name| std::env::var(name).ok(), file.as_deref())
    }

    /// As [`Settings::load`], from the given environment and the given text of `salur.toml`.
    pub fn resolve(
        flags: Given,
        environment: impl Fn(&str) -> Option<String>,
        file: Option<&str>,
    ) -> Result<Settings, BadSetting> {
        let file: Given = match file.map(toml::from_str).transpose() {
            Ok(given) => given.unwrap_or_default(),
            Err(error) => {
                let why = error.message().replace('\n', " ");
                return Err(BadSetting(format!(
                    "{FILE}: {why}; it may set database, listen, public_url, smtp, smtp_from, data_dir, log \
                     and log_format"
                )));
            }
        };
        let variable = |name: &str| environment(name).filter(|value| !value.is_empty());
        let database =
            flags.database.or_else(|| variable("SALUR_DATABASE")).or(file.database).unwrap_or_else(|| DATABASE.into());
        let listen = [
            ("--listen", flags.listen),
            ("SALUR_LISTEN", variable("SALUR_LISTEN")),
            ("listen in salur.toml", file.listen),
        ];
        let listen = match listen.into_iter().find_map(|(place, text)| Some((place, text?))) {
            None => LISTEN,
            Some((place, text)) => text.parse().map_err(|_| {
                BadSetting(format!("{place}: {text:?} is not an address; write one like 127.0.0.1:8080 or [::]:8080"))
            })?,
        };
        let public_url = [
            ("--public-url", flags.public_url),
            ("SALUR_PUBLIC_URL", variable("SALUR_PUBLIC_URL")),
            ("public_url in salur.toml", file.public_url),
        ];
        let public_url = match public_url.into_iter().find_map(|(place, text)| Some((place, text?))) {
            None => format!("http://{listen}"),
            Some((place, text)) => web_address(place, &text)?,
        };
        let smtp = flags.smtp.or_else(|| variable("SALUR_SMTP").map(Secret)).or(file.smtp);
        let smtp_from = flags.smtp_from.or_else(|| variable("SALUR_SMTP_FROM")).or(file.smtp_from);
        let smtp = match (smtp, smtp_from) {
            (None, _) => None,
            (Some(server), Some(from)) => Some((server, from)),
            (Some(_), None) => {
                return Err(BadSetting("SALUR_SMTP_FROM: say who writes the mails, like salur@city.example".into()));
            }
        };
        let data_dir = flags
            .data_dir
            .or_else(|| variable("SALUR_DATA_DIR").map(PathBuf::from))
            .or(file.data_dir)
            .unwrap_or_else(|| beside(&database));
        let log = flags.log.or_else(|| variable("SALUR_LOG")).or(file.log);
        let log_format = [
            ("--log-format", flags.log_format),
            ("SALUR_LOG_FORMAT", variable("SALUR_LOG_FORMAT")),
            ("log_format in salur.toml", file.log_format),
        ];
        let log_json = match log_format.into_iter().find_map(|(place, text)| Some((place, text?))) {
            None => false,
            Some((_, text)) if ["text", "json"].contains(&text.as_str()) => text == "json",
            Some((place, text)) => return Err(BadSetting(format!("{place}: {text:?} is neither text nor json"))),
        };
        let web_dir = variable("SALUR_WEB_DIR").map(PathBuf::from);
        let basemap = variable("SALUR_BASEMAP_STYLE");
        if let Some(style) = basemap.as_deref().filter(|style| !is_web_address(style)) {
            return Err(BadSetting(format!(
                "SALUR_BASEMAP_STYLE: {style:?} is no address of a style; write one like https://maps.example/style.json"
            )));
        }
        let traces = collector(variable)?;
        Ok(Settings { database, listen, public_url, smtp, data_dir, log, log_json, web_dir, basemap, traces })
    }

    /// The database's address for people to read: without a password.
    pub fn database_shown(&self) -> String {
        let Some((scheme, rest)) = self.database.split_once("://") else { return self.database.clone() };
        // The last @ before the path ends the credentials: a password may hold one, too.
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        match authority.rsplit_once('@') {
            Some((credentials, host)) => {
                let user = credentials.split(':').next().unwrap_or_default();
                let tail = rest.get(authority.len()..).unwrap_or_default();
                let path = tail.split('?').next().unwrap_or_default();
                format!("{scheme}://{user}@{host}{path}")
            }
            None if scheme.starts_with("postgres") => {
                format!("{scheme}://{}", rest.split('?').next().unwrap_or_default())
            }
            None => self.database.clone(),
        }
    }
}

/// An address that may stand in a header: a scheme, a host, and nothing that ends a word.
fn is_web_address(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let sound = |c: char| c.is_ascii_graphic() && !matches!(c, ';' | ',' | '\'' | '"');
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && rest.chars().all(sound))
}

/// An address that links can begin with.
fn web_address(place: &str, text: &str) -> Result<String, BadSetting> {
    let address = text.trim_end_matches('/');
    let host = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://")).unwrap_or_default();
    let plain = |c: char| c.is_ascii_graphic() && !"?#@\"<>\\".contains(c);
    if host.is_empty() || host.starts_with('/') || !host.chars().all(plain) {
        return Err(BadSetting(format!(
            "{place}: {text:?} is no address of a web server; write one like https://salur.example"
        )));
    }
    Ok(address.to_owned())
}

/// Where spans go, by the variables that OpenTelemetry names.
fn collector(variable: impl Fn(&str) -> Option<String>) -> Result<Option<String>, BadSetting> {
    let is = |name: &str, value: &str| variable(name).is_some_and(|set| set.eq_ignore_ascii_case(value));
    if is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none") {
        return Ok(None);
    }
    let own = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
    let Some((name, address)) = own.into_iter().find_map(|name| Some((name, variable(name)?))) else {
        return Ok(None);
    };
    if !address.starts_with("http://") {
        return Err(BadSetting(format!(
            "{name}: {address:?} does not start with http://; name a collector nearby, which may speak TLS to others"
        )));
    }
    let path = if name == own[0] { "" } else { "/v1/traces" };
    Ok(Some(format!("{}{path}", address.trim_end_matches('/'))))
}

/// The directory of an SQLite file; the working directory for everything else.
fn beside(database: &str) -> PathBuf {
    let file = database.strip_prefix("sqlite:").map(|rest| rest.strip_prefix("//").unwrap_or(rest));
    let file = file.and_then(|rest| rest.split('?').next()).unwrap_or_default();
    match Path::new(file).parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(flags: Given, environment: &[(&str, &str)], file: &str) -> Result<Settings, String> {
        let variable = |name: &str| environment.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        Settings::resolve(flags, variable, Some(file)).map_err(|e| e.to_string())
    }

    #[test]
    fn flags_come_before_the_environment_before_the_file_before_the_defaults() {
        let file = "database = \"sqlite://file.db\"\nlisten = \"127.0.0.1:3\"\n";
        let environment = [("SALUR_DATABASE", "sqlite://env.db"), ("SALUR_LISTEN", "")];
        let flags = Given { database: Some("sqlite://flag.db".into()), ..Given::default() };
        let database = |s: Result<Settings, String>| s.map(|s| s.database);
        assert_eq!(database(settings(flags, &environment, file)), Ok("sqlite://flag.db".into()));
        let second = settings(Given::default(), &environment, file).expect("good settings");
        assert_eq!(second.database, "sqlite://env.db");
        assert_eq!(second.listen.port(), 3, "an empty variable is one that is not set");
        assert_eq!(database(settings(Given::default(), &[], file)), Ok("sqlite://file.db".into()));
        let default = settings(Given::default(), &[], "").expect("good settings");
        assert_eq!((default.database.as_str(), default.listen.to_string()), (DATABASE, "127.0.0.1:8080".into()));
    }

    #[test]
    fn keys_rest_beside_an_sqlite_file_unless_a_directory_is_set() {
        for (database, expected) in [
            ("sqlite://salur.db", "."),
            ("sqlite://data/salur.db?mode=rwc", "data"),
            ("sqlite:///var/lib/salur/salur.db", "/var/lib/salur"),
            ("sqlite:salur.db", "."),
            ("postgres://u@h/salur", "."),
        ] {
            assert_eq!(beside(database), PathBuf::from(expected), "{database}");
        }
        let set = settings(Given::default(), &[("SALUR_DATA_DIR", "/keys")], "").expect("good settings");
        assert_eq!(set.data_dir, PathBuf::from("/keys"));
    }

    #[test]
    fn a_wrong_setting_is_refused_with_its_place() {
        let refused =
            |flags, environment: &[(&str, &str)], file| settings(flags, environment, file).expect_err("wrong");
        assert!(refused(Given::default(), &[("SALUR_LISTEN", "here")], "").starts_with("SALUR_LISTEN: \"here\""));
        assert!(refused(Given::default(), &[("SALUR_LOG_FORMAT", "xml")], "").starts_with("SALUR_LOG_FORMAT: \"xml\""));
        let unknown = refused(Given::default(), &[], "databse = \"x\"");
        assert!(unknown.starts_with("salur.toml: unknown field `databse`"), "{unknown}");
        assert!(!refused(Given::default(), &[], "listen = ").contains('\n'));
    }

    #[test]
    fn a_map_below_is_taken_from_an_address_and_from_nothing_else() {
        let basemap = |value| settings(Given::default(), &[("SALUR_BASEMAP_STYLE", value)], "").map(|s| s.basemap);
        assert_eq!(basemap(""), Ok(None));
        assert_eq!(basemap("https://maps.example/style.json"), Ok(Some("https://maps.example/style.json".into())));
        for wrong in ["maps.example", "https://", "https:///x", "https://a; script-src *", "ftp://a/b"] {
            assert!(basemap(wrong).is_err_and(|e| e.starts_with("SALUR_BASEMAP_STYLE: ")), "{wrong}");
        }
    }

    #[test]
    fn links_begin_with_the_public_address_or_else_with_where_the_server_listens() {
        let public = |environment: &[(&str, &str)]| settings(Given::default(), environment, "").map(|s| s.public_url);
        assert_eq!(public(&[("SALUR_LISTEN", "127.0.0.1:9")]), Ok("http://127.0.0.1:9".into()));
        assert_eq!(public(&[("SALUR_PUBLIC_URL", "https://salur.example/")]), Ok("https://salur.example".into()));
        for wrong in
            ["salur.example", "https://", "ftp://h", "https://h/?a", "https://u:p@h", "https://a b", "https:///x"]
        {
            let refused = public(&[("SALUR_PUBLIC_URL", wrong)]).expect_err("no address");
            assert!(refused.starts_with("SALUR_PUBLIC_URL: "), "{refused}");
        }
    }

    #[test]
    fn mail_needs_somebody_who_writes_it_and_its_server_is_not_shown() {
        let server = ("SALUR_SMTP", "smtps://u:geheim@mail.example");
        let refused = settings(Given::default(), &[server], "").expect_err("nobody writes");
        assert!(refused.starts_with("SALUR_SMTP_FROM: ") && !refused.contains("geheim"), "{refused}");
        let set = settings(Given::default(), &[server], "smtp_from = \"salur@city.example\"").expect("good settings");
        assert!(!format!("{set:?}").contains("geheim"));
        assert_eq!(
            set.smtp.map(|(server, from)| (server.0, from)),
            Some((server.1.into(), "salur@city.example".into()))
        );
    }

    #[test]
    fn spans_go_where_the_variables_of_opentelemetry_say() {
        let traces = |environment: &[(&str, &str)]| settings(Given::default(), environment, "").map(|s| s.traces);
        assert_eq!(traces(&[]), Ok(None));
        let all = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/");
        assert_eq!(traces(&[all]), Ok(Some("http://c:4318/v1/traces".into())));
        assert_eq!(traces(&[all, ("OTEL_SDK_DISABLED", "TRUE")]), Ok(None));
        assert_eq!(traces(&[all, ("OTEL_TRACES_EXPORTER", "none")]), Ok(None));
        let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c/spans");
        assert_eq!(traces(&[all, own]), Ok(Some("http://c/spans".into())));
        let refused = traces(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c")]).expect_err("it is not plain");
        assert!(refused.starts_with("OTEL_EXPORTER_OTLP_ENDPOINT: \"https://c\" does not start"), "{refused}");
    }

    #[test]
    fn a_shown_database_has_no_password() {
        for (url, shown) in [
            ("postgres://u:s@cret@h:5/d?password=x", "postgres://u@h:5/d"),
            ("postgres://h/d?password=x", "postgres://h/d"),
            ("sqlite://salur.db", "sqlite://salur.db"),
        ] {
            let settings = settings(Given { database: Some(url.into()), ..Given::default() }, &[], "");
            assert_eq!(settings.map(|s| s.database_shown()), Ok(shown.to_owned()));
        }
    }
}
