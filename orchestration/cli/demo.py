"""The command `demo`: phantom collections from nothing to counts, queries, a search and models.

Out of scope: how phantoms are made (`orchestration.cli.demo_collections`, `models.phantoms`).
"""

import time
from typing import TYPE_CHECKING

import typer

from orchestration.cli.output import Format, HomeOption, answer, emit, notes, progress_bars

if TYPE_CHECKING:
    from graindex.store import Store

DATA_FAILED = 1
OTHER_RECIPE = {
    "material": "garnet",
    "sintering_temperature_c": 1250,
    "sintering_time_h": 16,
    "dopant_fraction": 0.4,
}
"""Of which an electrolyte of the demo would conduct better."""
QUERIES = (
    (
        "Grain size drives sharpness: means by sintering temperature and roughness",
        """
        SELECT sintering_temperature_c, grain_diameter_um, roughness, count(*) AS images,
               avg(sharpness_tenengrad) AS sharpness_tenengrad,
               avg(brightness_mean) AS brightness_mean,
               avg(pixel_size_um) AS pixel_size_um
        FROM micrograph_catalog WHERE dataset = 'phantom_sem'
        GROUP BY ALL ORDER BY 1, 3
        """,
    ),
    (
        "Where pixel sizes come from, and how well the sources agree",
        """
        SELECT quantity, reading_source, count(*) AS images, min(value_number) AS smallest,
               max(value_number) AS largest, min(confidence) AS least_confidence,
               count(*) FILTER (used) AS used
        FROM acquisition_readings
        WHERE dataset = 'phantom_sem' AND value_number IS NOT NULL
        GROUP BY ALL ORDER BY 1, 2
        """,
    ),
    (
        "Grains planted in the images, and grains found",
        """
        SELECT grain_diameter_um, count(DISTINCT micrograph_id) AS images, count(*) AS grains,
               median(p.equivalent_diameter_um) AS diameter_d50_um,
               median(p.circularity) AS circularity
        FROM particles_2d p JOIN micrograph_catalog USING (dataset, micrograph_id)
        WHERE dataset = 'phantom_sem' AND NOT touches_border GROUP BY 1 ORDER BY 1
        """,
    ),
    (
        "Damage after 10 and 50 cycles: planted, and as measured in the tomograms",
        """
        SELECT cycles, damage_planted, count(*) AS particles, avg(damage) AS damage_measured,
               stddev(damage) AS damage_sd, corr(damage, depth_fraction) AS damage_depth_r,
               avg(detachment) AS detachment, median(equivalent_diameter_um) AS diameter_d50_um
        FROM particles_3d JOIN volume_catalog USING (dataset, volume_id)
        WHERE NOT touches_border GROUP BY ALL ORDER BY 1
        """,
    ),
    (
        "Detachment by cycles and size: the phantoms have no law of it, and none is found",
        """
        SELECT group_by, group_name, size_class, diameter_lower_um, diameter_upper_um,
               whole_particle_count AS particles, volume_count AS volumes, detachment_mean,
               detachment_standard_error, c.effect_size, c.p_holm
        FROM detachment_groups g LEFT JOIN detachment_comparisons c
          ON c.dataset = g.dataset AND c.compared_by = 'group' AND c.level = 'particles'
         AND c.second_name = g.group_name
         AND c.within = if(g.size_class = 0, 'all', g.size_class::VARCHAR)
        WHERE group_name <> 'all' ORDER BY size_class, group_name
        """,
    ),
    (
        "The ten most damaged particles with their volume and depth",
        """
        SELECT cycles, particle_id, damage, volume_um3, z_um, depth_fraction
        FROM particles_3d JOIN volume_catalog USING (dataset, volume_id)
        ORDER BY damage DESC LIMIT 10
        """,
    ),
    (
        "Median sphericity by collection and size decile",
        """
        SELECT dataset, size_decile, min(equivalent_diameter_um) AS diameter_from_um,
               max(equivalent_diameter_um) AS diameter_to_um, median(sphericity) AS sphericity,
               count(*) AS particles
        FROM (SELECT *, ntile(10) OVER (PARTITION BY dataset ORDER BY equivalent_diameter_um)
                        AS size_decile FROM particles_3d)
        GROUP BY 1, 2 ORDER BY 1, 2
        """,
    ),
)

_OF_VECTORS = "+key:micrograph_vectors or key:image_quality"
_DRIVERS = """
    SELECT part, feature, avg(importance_share) FILTER (strategy = 'draws') AS share_draws,
           stddev(importance_share) FILTER (strategy = 'draws') AS sd_draws,
           avg(importance_share) FILTER (strategy = 'seeds') AS share_seeds,
           any_value(pearson_r) FILTER (strategy = 'model') AS pearson_r
    FROM importances WHERE model = 'damage' AND part <> 'all' GROUP BY part, feature
    QUALIFY row_number() OVER (PARTITION BY part ORDER BY share_draws DESC) <= 5
    ORDER BY part, share_draws DESC
"""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(demo)


def demo(home: HomeOption = None) -> int:
    """Make phantom SEM images and tomograms, materialise them, and show what can be asked.

    A second run finds everything in place and computes nothing.
    """
    from graindex.errors import HomeError
    from graindex.store import init_store
    from orchestration.cli import demo_collections as phantoms
    from orchestration.cli.collections import materialize

    started = time.perf_counter()
    store = init_store(home)
    if store.location.folder is None:
        message = "the demo writes its images into the home: give a folder as --home"
        raise HomeError(message)
    folder = store.location.folder / "demo"
    with progress_bars():
        images = phantoms.write_sem(folder / phantoms.SEM)
        images += phantoms.write_electrolytes(folder / phantoms.ELECTROLYTES)
        images += phantoms.write_cathodes(folder / phantoms.CATHODES)
        electrodes = phantoms.write_electrodes(folder / phantoms.ELECTRODES)
    notes.print(f"{images} phantom micrographs and {electrodes} electrodes made in {folder}")
    registered = (
        phantoms.register_sem(store, folder / phantoms.SEM),
        phantoms.register_electrolytes(store, folder / phantoms.ELECTROLYTES),
        phantoms.register_cathodes(store, folder / phantoms.CATHODES),
        phantoms.register_electrodes(store, folder / phantoms.ELECTRODES),
    )
    for line in (line for each in registered for line in each.lines()):
        notes.print(line)
    names = [phantoms.SEM, phantoms.ELECTRODES]
    code = materialize(names, None, False, Format.TABLE, home)
    # these models need vectors alone: to find the particles of 96 images takes two minutes more
    seen = [phantoms.ELECTROLYTES, phantoms.CATHODES]
    code = materialize(seen, _OF_VECTORS, False, Format.TABLE, home) or code
    for title, query in QUERIES:
        rows = store.table(query)
        emit(rows.to_pylist(), Format.TABLE, rows.column_names, title)
    first = store.table(
        f"SELECT min(path) AS path FROM micrographs WHERE dataset = '{phantoms.SEM}'"
    )
    path = first["path"][0].as_py()
    image = folder / phantoms.SEM / path
    hits = store.similar(image, 6)
    shown = ("id", "distance", "sample", "path", "pixel_size_um")
    emit(hits.to_pylist(), Format.TABLE, shown, f"Micrographs like {path}")
    unseen = phantoms.write_unseen(folder)
    trained = _train(store, str(unseen))
    electrolyte = min((folder / phantoms.ELECTROLYTES).glob("garnet/*/*.png"))
    told = " ".join(f"--given {name}={value}" for name, value in OTHER_RECIPE.items())
    where = f" --home {home}" if home else ""
    answer().print(
        f"\nThe demo took {time.perf_counter() - started:.0f} s. Look further:\n"
        f"  graindex ui{where}                       the asset graph, runs, checks and previews\n"
        f'  graindex sql "SHOW ALL TABLES"{where}    what can be queried\n'
        f"  graindex similar {image}{where}\n"
        f"  graindex predict grain_diameter {unseen}{where}\n"
        f"  graindex predict conductivity {electrolyte} {told}{where}\n"
        f"  graindex report damage -o damage.html{where}          what drives it, in pictures\n"
        f"  graindex lineage grain_diameter{where}       from the model to the files\n"
        f"  graindex replay grain_diameter{where}        build, train and compare again\n"
        f"  graindex status{where}"
    )
    return code or trained


def _train(store: "Store", image: str) -> int:
    """Train the models of the demo, show how good they are and what they say of one image."""
    from graindex.trained.kept import kept_model
    from graindex.trained.predict import CLASS_COLUMNS, NUMBER_COLUMNS, predict
    from graindex.trained.shortcuts import ALONE
    from orchestration.cli.demo_collections import SEM
    from orchestration.cli.demo_models import write_models
    from orchestration.run import run_models

    names = write_models(store)
    with progress_bars():
        done = run_models(store, names)
    for failure in done.failures:
        notes.print(f"failed: {failure}")
    if done.blocked:
        return DATA_FAILED
    artefacts = [kept_model(store, name) for name in names]
    scores = [
        {"model": artefact.card.reference, **metric.model_dump()}
        for artefact in artefacts
        for metric in artefact.card.metrics
        if metric.part in ("all", ALONE) and metric.evaluation != "train"
    ]
    columns = ("model", "evaluation", "part", "metric", "value", "lower", "upper", "unit", "rows")
    emit(scores, Format.TABLE, columns, "Models, tested on what they never saw")
    drivers = store.table(_DRIVERS)
    emit(drivers.to_pylist(), Format.TABLE, drivers.column_names, "What drives the damage")
    for artefact in artefacts:
        if SEM not in {one.dataset for one in artefact.card.data}:
            continue  # the image is of another kind
        shown = CLASS_COLUMNS if artefact.card.label.classes else NUMBER_COLUMNS
        rows = predict(artefact, [image], store=store)
        title = f"What {artefact.card.reference} says of an image that it never saw"
        emit(rows, Format.TABLE, shown, title)
    return 0
