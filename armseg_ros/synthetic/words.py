# SPDX-License-Identifier: Apache-2.0
"""The vocabulary of the printed goods: packaging English, and syllables of invented brands."""

_WORDS = """
premium natural organic dog chew soft pack of the new home care classic ultra pro kids travel
guide wild plants safari cotton sheet set white black blue large small made in size model item
color net wt vitamin protein coffee tea garden light power usb cable charger case cover mount
kit tool steel glass bottle brush paper card thank you welcome story girl night day world
history art learn english atlas fresh clean daily hair skin cream snack mix nut berry lemon mint
chocolate vanilla free gluten best sport outdoor camping lamp battery adapter hook clip tape
glue paint marker notebook planner puzzle game race castle ocean river forest mountain honey
pepper salt rice pasta sauce olive oil soap lotion balm serum repair filter pump hose valve
screw bolt spring wheel chain grip strap lock key ring hanger basket shelf
"""
_SYLLABLES = """
ba be bo ka ki ko la li lo ma mi mo na ne no ra ri ro sa si so ta te to va vi vo za zen tex max
lux dur
"""

WORDS = tuple(_WORDS.split())
SYLLABLES = tuple(_SYLLABLES.split())
