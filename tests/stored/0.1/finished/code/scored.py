"""The model of these directories."""


class Doubles:
    def predict(self, rows):
        if (rows["ID"] < 0).any():
            raise ValueError("no score for negative IDs")
        return {"Y": rows["X"] * 2}
