//! What the shop has. A real one would ask a database.

use std::time::Duration;

use dreammesh::Status;

/// One article.
#[derive(Debug)]
pub(crate) struct Article {
    pub(crate) sku: &'static str,
    pub(crate) title: &'static str,
    pub(crate) price_cents: u32,
    pub(crate) tags: &'static [&'static str],
    /// How long it takes to fetch it for an order.
    pub(crate) fetched_within: Duration,
}

const fn article(
    sku: &'static str,
    title: &'static str,
    price_cents: u32,
    tags: &'static [&'static str],
) -> Article {
    Article {
        sku,
        title,
        price_cents,
        tags,
        fetched_within: Duration::ZERO,
    }
}

/// An article that is far away; nobody with a deadline shorter than this gets one.
pub(crate) const FAR_AWAY: Article = Article {
    fetched_within: Duration::from_secs(1),
    ..article("M-01", "Piece of the moon", 99_900, &["rare"])
};

pub(crate) const ARTICLES: &[Article] = &[
    article("A-17", "Brass gear, 48 teeth", 1_250, &["brass", "gear"]),
    article("A-18", "Brass gear, 96 teeth", 2_190, &["brass", "gear"]),
    article("B-02", "Steel shaft, 6 mm", 480, &["steel"]),
    article("B-07", "Ball bearing, 6 mm", 320, &["steel", "bearing"]),
    article("C-33", "Oil, clock grade", 890, &[]),
    FAR_AWAY,
];

/// Finds an article, or says that there is none.
pub(crate) fn find(sku: &str) -> Result<&'static Article, Status> {
    let found = ARTICLES.iter().find(|article| article.sku == sku);
    found.ok_or_else(|| Status::not_found(format!("nobody sells {sku:?}")))
}

/// The articles that have a tag.
pub(crate) fn tagged(tag: &str) -> impl Iterator<Item = &'static Article> {
    let has = move |article: &&Article| article.tags.contains(&tag);
    ARTICLES.iter().filter(has)
}
