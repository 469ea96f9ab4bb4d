"""The product handles every field and beta that the vendors' SDKs can send.

If this fails after an update of an SDK, run `make fields`, and add the new names to the schema of
the API, to `formats/request_fields.py` or to `formats/messages/betas.py`.
"""

import pytest

from copilot_proxy.formats.request_fields import FIELDS
from tests.formats.routes import APIS
from tests.sdk_fields import SAMPLES, TYPES, betas, fates, fields_of, is_known


@pytest.mark.parametrize("api", TYPES)
def test_every_field_is_known(api: str) -> None:
    """A table of the product names every field."""
    assert [] == [field for field in fields_of(api) if not is_known(api, field)]


@pytest.mark.parametrize("api", APIS)
def test_no_field_is_lost(api: str) -> None:
    """On every route, each field is sent, noted or refused."""
    lost = [(fate.field, route) for fate in fates(api) for route in fate.lost]

    assert [] == lost


@pytest.mark.parametrize("api", APIS)
def test_the_tables_have_no_unused_rows(api: str) -> None:
    """Every row and every sample belongs to a field that an SDK can send."""
    assert not FIELDS[api].keys() - fields_of(api)
    assert not SAMPLES[api].keys() - fields_of(api)


def test_every_beta_is_known() -> None:
    """A table of the product names every beta."""
    assert [] == [name for name, fate in betas().items() if fate == "UNKNOWN"]


def test_new_fields_and_betas_are_noticed() -> None:
    """A name that is in no table counts as unknown."""
    assert not any(is_known(api, "not_yet_known") for api in TYPES)
