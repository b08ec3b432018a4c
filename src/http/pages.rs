//! The plain front page, until there is a map, and GraphiQL.

use axum::http::StatusCode;
use axum::response::Html;

pub async fn front() -> Html<&'static str> {
    Html(include_str!("front.html"))
}

/// GraphiQL comes from a public CDN: the browser needs the internet for it, the server does not.
pub async fn graphiql() -> Html<String> {
    let page = async_graphql::http::GraphiQLSource::build()
        .endpoint("/graphql")
        .subscription_endpoint("/graphql/ws")
        .title("Salur: GraphiQL")
        .finish();
    Html(page)
}

pub async fn not_found() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "there is no such page; the API is POST /graphql\n")
}
