"""Model folders, the transfer of weights between training stages, and the formats of other projects."""
