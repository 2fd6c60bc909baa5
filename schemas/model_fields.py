"""Columns of trained models: runs, metrics, curves and predictions.

Out of scope: training sets (`schemas.feature_fields`).
"""

from schemas.field import HEX_SHA256, Field, Kind, count, number, text

MODEL_FIELDS = (
    text("model", "Name of the model.", pattern=r"^[a-z][a-z0-9_]{0,63}$"),
    count("model_version", "Version of the model, from 1.", lower=1),
    text("method", "How the model learns, such as ridge or logistic."),
    text("parameters", "Parameters of the training as JSON, chosen ones included."),
    count("seed", "Seed of the random numbers."),
    text("artefact", "Content address of the weights, a safetensors file.", pattern=HEX_SHA256),
    text("card", "Content address of the model card, a JSON file.", pattern=HEX_SHA256),
    text("report", "Content address of the report page, an HTML file.", pattern=HEX_SHA256),
    text("run_id", "Run that wrote the row."),
    text(
        "evaluation",
        "Which rows the number is of: none of them were trained on, but for train.",
        values=("cross-validation", "test", "train"),
    ),
    text("metric", "Name of the metric, such as r2, rmse or macro_f1."),
    text("part", "What part of the rows it is of: all, a fold, a class, or a value of a column."),
    Field("metric_value", Kind.NUMBER, "Value of the metric, in `unit`."),
    Field("metric_lower", Kind.NUMBER, "Lower end of the interval, in `unit`."),
    Field("metric_upper", Kind.NUMBER, "Upper end of the interval, in `unit`."),
    text("interval", "What the interval is: level, method and what was drawn."),
    text("curve", "Name of the learning or validation curve."),
    Field("curve_x", Kind.NUMBER, "Where on the curve, such as the epoch or the penalty."),
    Field("curve_y", Kind.NUMBER, "Height of the curve."),
    Field("predicted_number", Kind.NUMBER, "Prediction, in the unit of the label."),
    text("predicted_text", "Predicted class."),
    Field("predicted_std", Kind.NUMBER, "One standard deviation of the prediction.", lower=0),
    number("probability", "1", "Probability of the predicted class.", lower=0, upper=1),
    text("probabilities", "Probability of every class, as JSON."),
    Field("feature_value", Kind.NUMBER, "Value of the feature, in its own unit."),
    Field(
        "shap_value",
        Kind.NUMBER,
        "What the feature adds to the prediction, in the unit of what is learned: Shapley value.",
        source="Lundberg et al., Nature Machine Intelligence 2 (2020) 56",
    ),
    text(
        "space",
        "What is correlated: latent dimensions, reconstructed columns, or columns as measured.",
        values=("latent", "reconstructed", "measured"),
    ),
    text("other_feature", "Name of the second feature, latent dimension or label."),
    text(
        "strategy",
        "Fit that the importance is of: the kept model, a draw of rows, or another seed.",
        values=("model", "draws", "seeds"),
    ),
    count("repeat", "Number of the fit, from 0."),
    Field(
        "importance",
        Kind.NUMBER,
        "Importance of the feature, in the unit of what is learned.",
        lower=0,
        formula="sum of |shap_value| over rows",
        source="Li et al. 2022, supplement",
    ),
    number("importance_share", "1", "Share of the feature in the sum over all.", lower=0, upper=1),
    number(
        "pearson_r", "1", "Correlation with the label, or the second feature.", lower=-1, upper=1
    ),
)
