from assets.lineage_page import lineage_metadata
from tests.graindex.rows import key


def test_page_of_a_model_holds_its_tree_counts_and_picture(chain):
    page, picture = lineage_metadata(chain, "states@1").values()
    assert "- 2 files" in page.value
    assert chain.lineage("states@1").tree() in page.value
    assert f"micrograph {key('a1')}" in page.value
    assert picture.value.startswith("![preview](data:image/png;base64,")
