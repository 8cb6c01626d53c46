"""Write data/digits.csv: what the flow has to know of a set of handwritten digits.

Of the 1797 images of 8 by 8 pixels, 0 to 16, that scikit-learn ships (a copy of the test set of
"Optical Recognition of Handwritten Digits" by E. Alpaydin and C. Kaynak, UCI Machine Learning
Repository, 1998, doi:10.24432/C50P49, under CC BY 4.0), pixels over 16 and one-hot labels, both
less their means, are turned to the principal components of the pixels. The first line holds the
variances of the first ten components, line 1 + c the covariances of label c with them. Signs of
components are such that the largest entry of each is positive.

    pip download scikit-learn --no-deps && unzip scikit_learn*.whl '*digits.csv.gz'
    python data/digits.py sklearn/datasets/data/digits.csv.gz
"""

import sys
from pathlib import Path

import numpy as np

COMPONENTS = 10


def moments(table: np.ndarray) -> np.ndarray:
    """Return variances and covariances, (1 + 10, COMPONENTS)."""
    pixels, labels = table[:, :-1] / 16, np.eye(10)[table[:, -1].astype(int)]
    pixels, labels = pixels - pixels.mean(0), labels - labels.mean(0)
    variances, vectors = np.linalg.eigh(pixels.T @ pixels / len(pixels))
    vectors = vectors[:, ::-1][:, :COMPONENTS]
    vectors *= np.sign(vectors[np.abs(vectors).argmax(0), range(COMPONENTS)])
    return np.vstack([variances[::-1][:COMPONENTS], labels.T @ pixels @ vectors / len(pixels)])


if __name__ == "__main__":
    found = moments(np.loadtxt(sys.argv[1], delimiter=","))
    np.savetxt(Path(__file__).with_suffix(".csv"), found, fmt="%.5f", delimiter=",")
