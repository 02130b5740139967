"""Oscar, a shop on Django: its tables as its migrations make them."""

import sys
from urllib.parse import urlsplit

import django
import pymysql
from django.conf import settings
from django.core.management import call_command
from oscar import defaults

_ENGINES = {"postgresql": "django.db.backends.postgresql", "mariadb": "django.db.backends.mysql"}
_DJANGO = ("admin", "auth", "contenttypes", "flatpages", "messages", "sessions", "sites")
_SHOP = (
    *("address.AddressConfig", "analytics.AnalyticsConfig", "basket.BasketConfig"),
    *("catalogue.CatalogueConfig", "catalogue.reviews.CatalogueReviewsConfig", "checkout.CheckoutConfig"),
    *("communication.CommunicationConfig", "customer.CustomerConfig", "offer.OfferConfig"),
    *("order.OrderConfig", "partner.PartnerConfig", "payment.PaymentConfig", "search.SearchConfig"),
    *("shipping.ShippingConfig", "voucher.VoucherConfig", "wishlists.WishlistsConfig"),
)
_DASHBOARD = (
    *(
        ".DashboardConfig",
        "catalogue.CatalogueDashboardConfig",
        "communications.CommunicationsDashboardConfig",
    ),
    *("offers.OffersDashboardConfig", "orders.OrdersDashboardConfig", "pages.PagesDashboardConfig"),
    *("partners.PartnersDashboardConfig", "ranges.RangesDashboardConfig", "reports.ReportsDashboardConfig"),
    *("reviews.ReviewsDashboardConfig", "shipping.ShippingDashboardConfig", "users.UsersDashboardConfig"),
    "vouchers.VouchersDashboardConfig",
)


def _apps() -> list[str]:
    named = [f"apps.{name}" for name in _SHOP]
    named += [f"apps.dashboard.{name}".replace("..", ".") for name in _DASHBOARD]
    configs = [f"oscar.{path}.apps.{config}" for path, _, config in (name.rpartition(".") for name in named)]
    django_own = [f"django.contrib.{name}" for name in _DJANGO]
    return [*django_own, "oscar.config.Shop", *configs, "haystack", "treebeard", "django_tables2"]


def main(url: str) -> None:
    """Create the tables in an empty database."""
    parts = urlsplit(url)
    pymysql.install_as_MySQLdb()
    # Django asks for a version of the driver that PyMySQL stands in for.
    pymysql.version_info = (2, 2, 7, "final", 0)
    own = {name: getattr(defaults, name) for name in dir(defaults) if name.startswith("OSCAR_")}
    settings.configure(
        **own,
        SECRET_KEY="none",
        SITE_ID=1,
        USE_TZ=True,
        INSTALLED_APPS=_apps(),
        ROOT_URLCONF="django.contrib.auth.urls",
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        HAYSTACK_CONNECTIONS={"default": {"ENGINE": "haystack.backends.simple_backend.SimpleEngine"}},
        DATABASES={
            "default": {
                "ENGINE": _ENGINES[parts.scheme],
                "NAME": parts.path[1:],
                "USER": parts.username,
                "PASSWORD": parts.password,
                "HOST": parts.hostname,
                "PORT": parts.port,
            }
        },
    )
    django.setup()
    call_command("migrate", verbosity=0, skip_checks=True)


if __name__ == "__main__":
    main(sys.argv[1])
