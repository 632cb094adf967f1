"""Radiomics: features of images, the vector of a patient, and the classifier on top of it."""
