# SPDX-License-Identifier: Apache-2.0
"""Write chosen pictures, with labels or pre-labels, as labelling tools and training read them."""
