//! A few seconds of customers: every method, every kind of streaming, every answer checked.

use std::error::Error;
use std::time::Duration;

use dreammesh::{CallError, Channel, Code, Connect as _};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::processes::Shop;
use crate::progress::Progress;
use crate::proto::current::{
    CatalogClient, CheckoutClient, CountArgs, GetItemRequestArgs, InventoryClient, ListRequestArgs,
    OrderLine, PlaceOrderRequest, ScanRequestArgs,
};
use crate::stock::{ARTICLES, Article};

/// What the customers saw.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) calls: u64,
    /// Answers that were not what the shop sells.
    pub(crate) wrong: u64,
    /// Calls for an article that nobody sells, each of which ended as NOT_FOUND.
    pub(crate) not_found: u64,
}

/// How many customers are in the shop at any time.
const CUSTOMERS: usize = 32;

/// Lets customers shop for a while and shows how far they are.
pub(crate) async fn drive(
    shop: &Shop,
    duration: Duration,
    progress: &mut Progress,
) -> Result<Seen, Box<dyn Error>> {
    let customer = Customer {
        catalog: CatalogClient::new(Channel::connect(&shop.catalog.target).await?),
        inventory: InventoryClient::new(Channel::connect(&shop.inventory.target).await?),
        checkout: CheckoutClient::new(Channel::connect(&shop.checkout.target).await?),
        seen: Seen::default(),
    };
    let begun = now();
    let mut customers = JoinSet::new();
    for number in 0..CUSTOMERS {
        customers.spawn(customer.clone().shop_until(begun + duration, number));
    }
    let mut all = Seen::default();
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    loop {
        tokio::select! {
            _ = tick.tick() => progress.show(begun.elapsed(), duration),
            left = customers.join_next() => match left {
                Some(seen) => all.add(seen??),
                None => break,
            },
        }
    }
    progress.done(all.calls);
    Ok(all)
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is where the program reads the clock"
)]
fn now() -> Instant {
    Instant::now()
}

impl Seen {
    fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.wrong += other.wrong;
        self.not_found += other.not_found;
    }

    fn expect(&mut self, right: bool) {
        self.calls += 1;
        self.wrong += u64::from(!right);
    }
}

/// Clients are cheap to clone: all customers share three connections.
#[derive(Clone, Debug)]
struct Customer {
    catalog: CatalogClient,
    inventory: InventoryClient,
    checkout: CheckoutClient,
    seen: Seen,
}

impl Customer {
    async fn shop_until(mut self, end: Instant, number: usize) -> Result<Seen, CallError> {
        let mut round = number;
        while now() < end {
            let article = &ARTICLES[round % (ARTICLES.len() - 1)];
            for _ in 0..8 {
                self.look_at(article).await?;
            }
            self.look_for_what_is_not_there().await?;
            self.browse("brass").await?;
            self.order(article).await?;
            self.pay_at_the_till().await?;
            self.count_the_stock().await?;
            round += 1;
        }
        Ok(self.seen)
    }

    /// Unary.
    async fn look_at(&mut self, article: &Article) -> Result<(), CallError> {
        let item = self
            .catalog
            .get_item(GetItemRequestArgs { sku: article.sku })
            .await?;
        let item = item.view();
        let right = item.title() == article.title
            && item.price_cents() == article.price_cents
            && item.tags().iter().eq(article.tags.iter().copied());
        self.seen.expect(right);
        Ok(())
    }

    /// Unary, and failing as it should.
    async fn look_for_what_is_not_there(&mut self) -> Result<(), CallError> {
        let failed = self
            .catalog
            .get_item(GetItemRequestArgs { sku: "Z-99" })
            .await;
        let right = failed.is_err_and(|error| error.code() == Code::NotFound);
        self.seen.expect(right);
        self.seen.not_found += u64::from(right);
        Ok(())
    }

    /// Many responses.
    async fn browse(&mut self, tag: &str) -> Result<(), CallError> {
        let mut items = self.catalog.list(ListRequestArgs { tag }).await?;
        let mut expected = ARTICLES
            .iter()
            .filter(|article| article.tags.contains(&tag));
        let mut right = true;
        while let Some(item) = items.next().await? {
            right &= expected
                .next()
                .is_some_and(|article| article.sku == item.view().sku());
        }
        self.seen.expect(right && expected.next().is_none());
        Ok(())
    }

    /// Unary, answered by a service that calls two others.
    async fn order(&mut self, article: &Article) -> Result<(), CallError> {
        let line = OrderLine {
            sku: article.sku.to_owned(),
            quantity: 3,
            ..Default::default()
        };
        let order = PlaceOrderRequest {
            customer: "Ada".to_owned(),
            lines: vec![line.clone(), line],
            ..Default::default()
        };
        let order = self.checkout.place_order(&order).await?;
        let right = order.view().total_cents() == u64::from(article.price_cents) * 6
            && order.view().reservations().len() == 2;
        self.seen.expect(right);
        Ok(())
    }

    /// Many requests and many responses, taking turns.
    async fn pay_at_the_till(&mut self) -> Result<(), CallError> {
        let (scans, mut lines) = self.checkout.scan().await?;
        let (mut total, mut right) = (0, true);
        for article in &ARTICLES[..4] {
            scans.send(ScanRequestArgs { sku: article.sku }).await?;
            total += u64::from(article.price_cents);
            let line = lines.next().await?;
            right &= line.is_some_and(|line| line.view().total_cents() == total);
        }
        scans.finish();
        self.seen.expect(right && lines.next().await?.is_none());
        Ok(())
    }

    /// Many requests.
    async fn count_the_stock(&mut self) -> Result<(), CallError> {
        let counts = self.inventory.stocktake().await?;
        for (found, article) in (1..).zip(ARTICLES) {
            counts
                .send(CountArgs {
                    sku: article.sku,
                    found,
                })
                .await?;
        }
        let summary = counts.finish().await?;
        let articles = ARTICLES.len() as u64;
        let right = u64::from(summary.view().articles()) == articles
            && summary.view().pieces() == articles * (articles + 1) / 2;
        self.seen.expect(right);
        Ok(())
    }
}
