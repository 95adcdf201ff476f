from worldflow.worlds.aws.items import item_size


def test_as_dynamodb_counts_it():
    # The first is the example of AWS's own guide to capacity units: 23 bytes.
    assert item_size({"shirt-color": {"S": "R"}, "shirt-size": {"S": "M"}}) == 23
    assert item_size({"a": {"S": "ü"}}) == 3
    assert item_size({"n": {"N": "1200"}}) == 1 + 1 + 1
    assert item_size({"n": {"N": "0"}}) == 1 + 1 + 1
    assert item_size({"n": {"N": "-123"}}) == 1 + 2 + 1 + 1
    assert item_size({"m": {"M": {"ab": {"S": "c"}}}}) == 1 + 3 + 1 + 2 + 1
