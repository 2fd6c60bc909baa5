"""The store that users open: tables, vectors, files and search of one home.

Out of scope: how rows are computed (`graindex.catalogue`, `graindex.derive`).
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from graindex.errors import HomeError
from graindex.lake import AsOf, Lake
from graindex.location import Location
from graindex.query import QueryConnection
from graindex.settings import Settings, load_settings, save_settings

if TYPE_CHECKING:  # these take seconds to import; a plain SQL query needs none of them
    import duckdb

    from graindex.encoders import Encoders
    from graindex.features.definition import FeatureSet
    from graindex.files import FileStore
    from graindex.lineage.lineage import Lineage
    from graindex.readers.frame import Limits
    from graindex.recipes import Recipe
    from graindex.training.label_request import LabelRequest
    from graindex.training.split_request import SplitRequest
    from graindex.training.training_set import TrainingSet
    from graindex.vectors import VectorStore
    from graindex.volume_store import VolumeStore
    from models.encode.encoder import Encoder


class Store:
    """One home. Cheap to make; everything is opened when first used."""

    def __init__(self, location: Location) -> None:
        self.location = location
        self.lake = Lake(location)
        self._queries = QueryConnection(location)

    @cached_property
    def settings(self) -> Settings:
        """Settings of the home, `graindex.yaml`."""
        return load_settings(self.location)

    @property
    def limits(self) -> "Limits":
        """What readers refuse."""
        from graindex.readers.frame import Limits  # noqa: PLC0415

        readers = self.settings.readers
        return Limits(max_megapixels=readers.max_megapixels, min_side_px=readers.min_side_px)

    @cached_property
    def files(self) -> "FileStore":
        """Content-addressed files."""
        from graindex.files import FileStore  # noqa: PLC0415

        return FileStore(self.location)

    @cached_property
    def vectors(self) -> "VectorStore":
        """Vectors."""
        from graindex.vectors import VectorStore  # noqa: PLC0415

        return VectorStore(self.location)

    @cached_property
    def volume_store(self) -> "VolumeStore":
        """Voxels: grey values, phases and labels as OME-Zarr."""
        from graindex.volume_store import VolumeStore  # noqa: PLC0415

        return VolumeStore(self.location)

    @cached_property
    def encoders(self) -> "Encoders":
        """The encoders that the settings name, by their tables of vectors."""
        from graindex.encoders import Encoders  # noqa: PLC0415

        return Encoders(self.settings, self.location)

    @property
    def encoder(self) -> "Encoder":
        """The encoder that images are compared and searched by.

        Raises:
            HomeError: its weights are not there.
        """
        return self.encoders[self.settings.encoder.vector_table]

    @property
    def encoder_id(self) -> str:
        """Identity of the encoder that images are compared and searched by."""
        return self.encoder.encoder_id

    def datasets(self) -> list[str]:
        """Names of the registered collections."""
        from graindex.recipes import recipe_names  # noqa: PLC0415

        return recipe_names(self.location)

    def recipe(self, dataset: str) -> "Recipe":
        """Registration of a collection.

        Raises:
            CollectionError: there is none of this name.
        """
        from graindex.recipes import load_recipe  # noqa: PLC0415

        return load_recipe(self.location, dataset)

    def sql(self, query: str) -> "duckdb.DuckDBPyRelation":
        """Read-only SQL over tables, `micrograph_catalog`, `volume_catalog` and `vectors.main.…`.

        Returns:
            A relation: `.pl()`, `.arrow()`, `.df()`, `.fetchall()`.

        Raises:
            QueryError: it would write, read a file, or is wrong.
        """
        return self._queries.relation(query)

    def table(self, query: str, as_of: AsOf | None = None) -> pa.Table:
        """The whole result of `sql` at once, errors in the data included.

        Args:
            query: the query.
            as_of: snapshot or time of the catalog views; tables by their own name are of now.

        Raises:
            QueryError: it would write, read a file, or is wrong; or no snapshot is that old.
        """
        moment = self.lake.moment(as_of)
        return self._queries.table(query, as_of=moment)

    def check_query(self, query: str) -> None:
        """Refuse a query as `sql` would, without running it.

        Raises:
            QueryError: it would write, read a file, or is wrong.
        """
        self._queries.check(query)

    def read(self, table: str, dataset: str | None = None, as_of: AsOf | None = None) -> pa.Table:
        """Rows of a table, now or as of a snapshot (a number) or a time.

        Raises:
            QueryError: no such table, or no snapshot as old as `as_of`.
        """
        return self.lake.read(table, dataset, as_of=as_of)

    def similar(self, image: str | Path, k: int = 10, where: str | None = None) -> pa.Table:
        """The images most like one in the store, or like a file that the store never saw.

        Args:
            image: a `micrograph_id`, or a path or URL of an image.
            k: how many neighbours.
            where: SQL condition over the columns of `micrograph_catalog`.

        Returns:
            Columns `id, distance, dataset, sample, path, uri, pixel_size_um`, nearest first;
            distance is 1 − cosine similarity, 0 for the same picture.

        Raises:
            GraindexError: neither an id nor a readable image, or a wrong condition.
        """
        from graindex.search import similar  # noqa: PLC0415

        return similar(self, self._queries, str(image), k, where)

    def training_set(
        self,
        feature_set: "str | FeatureSet",
        label: "str | LabelRequest",
        *,
        entities: str | Sequence[str] | None = None,
        datasets: Sequence[str] = (),
        as_of: str | AsOf | None = None,
        split: "str | SplitRequest | None" = None,
    ) -> "TrainingSet":
        """The table that a model would see: features as they stood, label, side of the split.

        Args:
            feature_set: name of a registered feature set, or ``name@version``; or a definition,
                which is registered.
            label: name of the label, or a request that says whose and of when.
            entities: only these, by id; or a SQL condition over the columns of their catalog.
            datasets: only of these collections; of all when empty.
            as_of: snapshot as a number, tag or time; now when None.
            split: kind of the split, or a request; five folds by specimen when None.

        Raises:
            GraindexError: an unknown feature set, label, entity or snapshot; or the split would
                leak.
        """
        from graindex.training.request import request_of  # noqa: PLC0415
        from graindex.training.training_set import build_training_set  # noqa: PLC0415

        request = request_of(
            self,
            feature_set,
            label,
            entities=entities,
            datasets=datasets,
            as_of=as_of,
            split=split,
        )
        return build_training_set(self, request)

    def lineage(
        self,
        name_or_id: str,
        *,
        forward: bool = False,
        as_of: str | AsOf | None = None,
        datasets: Sequence[str] = (),
    ) -> "Lineage":
        """What a number comes from, down to the files, or what rests on it.

        Args:
            name_or_id: a model, a prediction as ``model@2:id``, a key of whatever the store knows,
                ``table.column``, a collection, or a file by path, URI or content hash.
            forward: what rests on it, instead of what it comes from.
            as_of: snapshot as a number, tag or time; what is registered as of now, and the data as
                of its training set, when None.
            datasets: forward, training sets without a row of these collections are left out.

        Raises:
            QueryError: the name stands for nothing, or there is no such snapshot.
        """
        from graindex.lineage.lineage import lineage_of  # noqa: PLC0415

        return lineage_of(self, name_or_id, forward=forward, as_of=as_of, datasets=tuple(datasets))

    def snapshot(self) -> int:
        """Number of the newest snapshot."""
        return self.lake.snapshot()


def open_store(home: str | Path | None = None) -> Store:
    """Open a home: a folder, or ``postgresql://USER@HOST/DB?data=s3://BUCKET/PREFIX``.

    Raises:
        HomeError: there is no home; says how to make one.
    """
    location = Location.parse(home)
    if location.folder is not None and location.catalog.startswith("sqlite:"):
        catalog = Path(location.catalog.removeprefix("sqlite:"))
        if not catalog.is_file():
            message = f"no home at {location.home!r}; run: graindex init {location.home}"
            raise HomeError(message)
    return Store(location)


def init_store(home: str | Path | None = None) -> Store:
    """Make a home, or bring an older one up to today's tables; rows stay as they are.

    Raises:
        HomeError: the place cannot be written.
    """
    location = Location.parse(home)
    folder = location.folder
    if folder is not None:
        try:
            for part in ("lake", "vectors", "files", "datasets"):
                (folder / part).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            message = f"home {location.home!r} cannot be made: {error.strerror}: {error.filename}"
            raise HomeError(message) from error
    store = Store(location)
    store.lake.create()
    settings: Settings = load_settings(location)
    save_settings(location, settings)
    return store
