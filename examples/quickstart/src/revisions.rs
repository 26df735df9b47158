//! Clients built from other revisions of the contract, all calling the catalog of today.

use std::error::Error;

use dreammesh::{Channel, Connector, Metrics, WireMode};

use crate::proto::{incompatible, newer, older};
use crate::stock::ARTICLES;

/// What one such client saw.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Served {
    /// Whether every answer was right.
    pub(crate) right: bool,
    /// How many calls had archives both ways.
    pub(crate) by_archive: u64,
    /// How many calls had protobuf at least one way.
    pub(crate) by_protobuf: u64,
}

/// How many calls each client makes once the two sides have compared their layouts.
pub(crate) const CALLS: u64 = 100;

/// Makes the calls and counts them by wire mode.
///
/// `$right` looks at an answer and says whether it is the article's. The first call is not
/// counted: it travels as protobuf while the layouts are compared, so that nobody waits for that.
macro_rules! served {
    ($client:ident, $target:expr, $request:expr, $right:expr) => {{
        let metrics = Metrics::new();
        let client = $client::new(channel($target, &metrics).await?);
        let article = &ARTICLES[0];
        client.get_item($request(article.sku)).await?;
        let first = modes(&metrics);
        let mut right = true;
        for call in 0..CALLS {
            let article = &ARTICLES[call as usize % ARTICLES.len()];
            let item = client.get_item($request(article.sku)).await?;
            let item = item.view();
            right &= item.sku() == article.sku
                && item.title() == article.title
                && item.price_cents() == article.price_cents
                && $right(item, article.tags);
        }
        let all = modes(&metrics);
        Ok(Served {
            right,
            by_archive: all.0 - first.0,
            by_protobuf: all.1 - first.1,
        })
    }};
}

/// A client of last year: it does not know tags.
pub(crate) async fn older(target: &str) -> Result<Served, Box<dyn Error>> {
    use older::{CatalogClient, GetItemRequestArgs, ItemView};
    let request = |sku| GetItemRequestArgs { sku };
    served!(
        CatalogClient,
        target,
        request,
        |_: ItemView<'_>, _: &[&str]| true
    )
}

/// A client of next year: it asks with a field, and reads two, that the catalog does not know.
pub(crate) async fn newer(target: &str) -> Result<Served, Box<dyn Error>> {
    use newer::{CatalogClient, GetItemRequestArgs, ItemView};
    let request = |sku| GetItemRequestArgs {
        sku,
        language: "en",
    };
    let right = |item: ItemView<'_>, tags: &[&str]| {
        item.tags().iter().eq(tags.iter().copied())
            && item.weight_grams().is_none()
            && item.properties().is_empty()
    };
    served!(CatalogClient, target, request, right)
}

/// A client whose article has a field where the catalog's has none: archives will not do.
pub(crate) async fn incompatible(target: &str) -> Result<Served, Box<dyn Error>> {
    use incompatible::{CatalogClient, GetItemRequestArgs, ItemView};
    let request = |sku| GetItemRequestArgs { sku };
    let right = |item: ItemView<'_>, tags: &[&str]| {
        item.tags().iter().eq(tags.iter().copied()) && item.maker().is_empty()
    };
    served!(CatalogClient, target, request, right)
}

async fn channel(target: &str, metrics: &Metrics) -> Result<Channel, Box<dyn Error>> {
    Ok(Connector::new()
        .channel_builder(target)?
        .metrics(metrics.clone())
        .build())
}

fn modes(metrics: &Metrics) -> (u64, u64) {
    let snapshot = metrics.snapshot();
    let calls = |mode| snapshot.iter().map(|method| method.count_in(mode)).sum();
    (calls(WireMode::Archive), calls(WireMode::Protobuf))
}
