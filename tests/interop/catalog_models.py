"""Runs where the catalogs' own libraries are: reads our files with their models, makes one of theirs.

Three files are named: Fides, DataHub, OpenMetadata. On stdout, as JSON: what the models made of them.
"""

import json
import sys
import sysconfig
import types
from pathlib import Path
from typing import Any

import yaml
from datahub.emitter.mcp import MetadataChangeProposalWrapper
from datahub.metadata.schema_classes import TagAssociationClass
from datahub.specific.dataset import DatasetPatchBuilder
from fideslang.default_taxonomy import DEFAULT_TAXONOMY
from fideslang.models import Dataset

# The start of OpenMetadata's package wants every driver that it has; its models want none.
_package = types.ModuleType("metadata")
_package.__path__ = [str(Path(sysconfig.get_path("purelib")) / "metadata")]
sys.modules["metadata"] = _package
from metadata.generated.schema.api.data.createTable import CreateTableRequest  # noqa: E402


def fides(path: Path) -> dict[str, Any]:
    """Read a dataset with fideslang's model; every category must be one of its taxonomy."""
    known = {category.fides_key for category in DEFAULT_TAXONOMY.data_category}
    datasets = [Dataset.model_validate(item) for item in yaml.safe_load(path.read_text())["dataset"]]
    fields = [(c.name, f.name, f.data_categories) for d in datasets for c in d.collections for f in c.fields]
    return {
        "fields": [[table, name, *map(str, found or ())] for table, name, found in fields],
        "strange": sorted({str(key) for *_, found in fields for key in found or () if key not in known}),
    }


def datahub(path: Path) -> dict[str, Any]:
    """Read the proposals with DataHub's classes; make the first one anew with its own builder."""
    written = json.loads(path.read_text())
    read = [MetadataChangeProposalWrapper.from_obj(dict(item)) for item in written]
    builder = DatasetPatchBuilder(read[0].entityUrn)
    for change in json.loads(written[0]["aspect"]["value"]):
        field = change["path"].split("/")[2].replace("~1", "/").replace("~0", "~")
        builder.for_field(field).add_tag(TagAssociationClass(change["value"]["tag"]))
    (theirs,) = builder.build()
    theirs = theirs.to_obj()
    theirs["aspect"]["value"] = json.loads(theirs["aspect"]["value"])
    ours = dict(
        written[0], aspect=dict(written[0]["aspect"], value=json.loads(written[0]["aspect"]["value"]))
    )
    return {"valid": [bool(item.validate()) for item in read], "theirs": theirs, "ours": ours}


def openmetadata(path: Path) -> list[Any]:
    """Read the tables with OpenMetadata's generated models."""
    tables = [CreateTableRequest.model_validate(item) for item in json.loads(path.read_text())]
    return [
        [
            table.name.root,
            column.name.root,
            column.dataType.value,
            *(tag.state.value for tag in column.tags or ()),
        ]
        for table in tables
        for column in table.columns
    ]


if __name__ == "__main__":
    paths = [Path(name) for name in sys.argv[1:]]
    found = {"fides": fides(paths[0]), "datahub": datahub(paths[1]), "openmetadata": openmetadata(paths[2])}
    print(json.dumps(found))  # noqa: T201 - its answer
